"""What does one update cost beside a plain script of the same learner? Time and memory, paired, in one run.

Both sides get the same rows and settings, each update in a process of its own: a high-water mark of
memory says nothing about the second of two updates in one process. Who goes first alternates, and every
figure is a median of ratios within a round, so that a machine that grows slower by itself hits both.
The sides are parameters; nothing here imports them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from env.bench.errors import BenchCancelled, BenchError
from env.bench.report import table

OURS, PLAIN = "ours", "plain"
MOST_TIME, MOST_MEMORY = 0.8, 1.0
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Update:
    """One update, from rows of text to an adapter on disk. Imports and loading the model are not in it.

    `seconds` and `cpu_seconds` (user and system, all threads) are the whole of it, `training_seconds` what
    is left without what came before and after the learner. `peak_bytes` is the process's high-water mark
    (on a GPU the device's), `loaded_bytes` the same when the model had been loaded. `tokens` are those of
    all rows, `loss` the mean over all steps: what says that both sides did the same work.
    """

    seconds: float
    cpu_seconds: float
    training_seconds: float
    peak_bytes: int
    loaded_bytes: int
    steps: int
    tokens: int
    loss: float


# does one update with the named learner
Side = Callable[[str], Update]


def run(
    sides: Mapping[str, Side],
    learners: Sequence[str],
    rounds: int = 3,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """`rounds` updates of each side for each learner; `sides` are "ours" and "plain".

    "time_ratio" and "memory_ratio" are those of the learner that comes off worst. Raises BenchCancelled
    between two updates, BenchError where the sides did not take the same number of steps.
    """
    stop = cancelled or (lambda: False)
    tell: Progress = progress or (lambda share, text: None)
    began = time.monotonic()
    made: list[dict[str, Any]] = []
    for number in range(rounds):
        for learner in learners:
            order = (OURS, PLAIN) if number % 2 == 0 else (PLAIN, OURS)
            done: dict[str, Update] = {}
            for side in order:
                if stop():
                    raise BenchCancelled
                share = (len(made) + len(done) / 2) / (rounds * len(learners))
                tell(share, f"round {number + 1} of {rounds}: {learner}, {side}")
                done[side] = sides[side](learner)
            ours, plain = done[OURS], done[PLAIN]
            if ours.steps != plain.steps:
                raise BenchError(
                    f"The two sides are not the same work: {ours.steps} and {plain.steps} steps of {learner}."
                )
            made.append(
                {"learner": learner, "first": order[0], **_ratios(ours, plain)}
                | {side: asdict(update) for side, update in done.items()}
            )
    by_learner = {
        learner: _summary([one for one in made if one["learner"] == learner]) for learner in learners
    }
    worst = {
        name: max(figures[name] for figures in by_learner.values())
        for name in ("time_ratio", "cpu_ratio", "training_ratio", "memory_ratio")
    }
    return {
        **worst,
        "holds": worst["time_ratio"] <= MOST_TIME and worst["memory_ratio"] <= MOST_MEMORY,
        "learners": by_learner,
        "rounds": made,
        OURS: {learner: _typical(made, learner, OURS) for learner in learners},
        PLAIN: {learner: _typical(made, learner, PLAIN) for learner in learners},
        "seconds": time.monotonic() - began,
    }


def as_table(result: dict[str, Any]) -> str:
    """`result` for the terminal, the two that are held to a bound beside it."""
    rows = []
    for learner, figures in result["learners"].items():
        ours, plain = (result[side][learner] for side in (OURS, PLAIN))
        rows += [
            [f"{learner}: seconds", ours["seconds"], plain["seconds"], figures["time_ratio"], "<= 0.8"],
            [f"{learner}: processor seconds", ours["cpu_seconds"], plain["cpu_seconds"],
             figures["cpu_ratio"], ""],
            [f"{learner}: training alone", ours["training_seconds"], plain["training_seconds"],
             figures["training_ratio"], ""],
            [f"{learner}: peak MB", ours["peak_bytes"] / 1e6, plain["peak_bytes"] / 1e6,
             figures["memory_ratio"], "<= 1.0"],
            [f"{learner}: mean loss", ours["loss"], plain["loss"], None, ""],
        ]  # fmt: skip
    return table(["one update", "ours", "plain TRL", "ratio", "bound"], rows)


def _ratios(ours: Update, plain: Update) -> dict[str, float]:
    return {
        "time_ratio": ours.seconds / plain.seconds,
        "cpu_ratio": ours.cpu_seconds / plain.cpu_seconds,
        "training_ratio": ours.training_seconds / plain.training_seconds,
        "memory_ratio": ours.peak_bytes / plain.peak_bytes,
        "loss_difference": ours.loss - plain.loss,
    }


def _summary(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds; the largest difference of the losses; how many tokens each side counted."""
    ratios = {
        name: median(one[name] for one in rounds)
        for name in ("time_ratio", "cpu_ratio", "training_ratio", "memory_ratio")
    }
    apart = max((one["loss_difference"] for one in rounds), key=abs)
    tokens = {side: rounds[0][side]["tokens"] for side in (OURS, PLAIN)}
    return ratios | {"loss_difference": apart, "steps": rounds[0][OURS]["steps"], "tokens": tokens}


def _typical(rounds: Sequence[Mapping[str, Any]], learner: str, side: str) -> dict[str, float]:
    """The median of each figure of one side over the rounds."""
    updates = [one[side] for one in rounds if one["learner"] == learner]
    return {name: median(update[name] for update in updates) for name in updates[0]}
