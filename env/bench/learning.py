"""How many thumbs does a taste need? A simulated person rates, a learner learns, held-out prompts tell.

One cell is one learner, one person (taste and seed) and one arm: what the learner may use. The person
asks everyday prompts in `attune/Conversation-v0` and rates the replies; at each checkpoint the learner
replies to held-out prompts, unrated, and the share that meets the taste is its satisfaction. All arms
of one (taste, seed) get the same prompts and the same sampling seeds, so they differ by the arm alone.

`run` is the small bench of one condition, `run_all` the one with noise, drift, an adversary and the rest
(learning_conditions.py). A cell is run in learning_cell.py; learning_figures.py makes figures of them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from env.bench import parallel
from env.bench.errors import BenchError
from env.bench.learning_cell import CHECKPOINTS, PHRASE, Cell, Experiment, Learner, MakeLearner, run_cell
from env.bench.learning_conditions import Condition, flipped
from env.bench.learning_figures import as_table, as_tables, in_full, of_different_people, summarise
from env.bench.learning_store import CellStore
from memory.taste.features import STYLES

__all__ = [
    "ALL_ARMS",
    "ARMS",
    "CHECKPOINTS",
    "FULL_SEEDS",
    "PHRASE",
    "QUICK",
    "SEEDS",
    "Cell",
    "Experiment",
    "Learner",
    "as_table",
    "as_tables",
    "run",
    "run_all",
    "run_cell",
    "summarise",
]

ARMS = ("base", "card", "memory", "weights", "all")
# fewshot: liked replies pasted into the prompt; stacked: each update goes on from the last one
ALL_ARMS = (*ARMS, "fewshot", "stacked")
SEEDS = (0, 1, 2)
FULL_SEEDS = (0, 1, 2, 3, 4)
# what `--quick` runs: two tastes that have little to do with each other
QUICK: dict[str, Any] = {"tastes": ("brief", "formal"), "seeds": (0,)}

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One cell to run. `then` is the taste after a drift."""

    condition: str
    experiment: Experiment
    arm: str
    taste: str
    seed: int
    then: str | None = None


def run(
    make_learner: MakeLearner,
    arms: Sequence[str] = ARMS,
    tastes: Sequence[str] = STYLES,
    seeds: Sequence[int] = SEEDS,
    experiment: Experiment | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    store: CellStore | None = None,
) -> dict[str, Any]:
    """Run every (taste, seed, arm) cell and return the figures (see `summarise`).

    "base" always runs, since every figure is read against it. With `workers` > 1 the cells run in
    that many spawned processes of one torch thread each; `make_learner` must then be picklable.
    `cancelled` is asked before every turn; BenchCancelled follows a yes. Whatever a learner raises
    ends the bench: half an experiment has no figures. With a `store` every finished cell is kept, and
    one that is there already is not run again.
    """
    settings = experiment or Experiment()
    jobs = _jobs(Condition("plain", "", settings), arms, tastes, seeds)
    cells, seconds = _cells(make_learner, jobs, workers, progress, cancelled, store)
    result = summarise(cells, settings)
    result["seconds"] = seconds
    result["settings"]["workers"] = workers
    return result


def run_all(
    make_learner: MakeLearner,
    conditions: Mapping[str, Condition],
    arms: Sequence[str] = ARMS,
    tastes: Sequence[str] = STYLES,
    seeds: Sequence[int] = SEEDS,
    ratings: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    store: CellStore | None = None,
) -> dict[str, Any]:
    """{"conditions": {NAME: figures (see `in_full`)}, "seconds", "settings"}; else as `run`.

    `ratings` replaces the count of every condition.
    """
    chosen = {
        name: replace(one, experiment=replace(one.experiment, ratings=ratings or one.experiment.ratings))
        for name, one in conditions.items()
    }
    jobs = [job for one in chosen.values() for job in _jobs(one, arms, tastes, seeds)]
    if all(job.arm == "base" for job in jobs) and any(arm != "base" for arm in arms):
        has = "; ".join(f"{name} has the arms {', '.join(one.arms)}" for name, one in chosen.items())
        raise BenchError(f"None of the arms that were asked for runs: {has}.")
    cells, seconds = _cells(make_learner, jobs, workers, progress, cancelled, store)
    result: dict[str, Any] = {"conditions": {}}
    for name, one in chosen.items():
        mine = [cell for cell in cells if cell.condition == name]
        result["conditions"][name] = {"about": one.about, **in_full(mine, one.experiment)}
    result["seconds"] = seconds
    result["settings"] = {"seeds": list(dict.fromkeys(seeds)), "workers": workers, "cells": len(cells)}
    return result


def run_none(
    conditions: Mapping[str, Condition], store: CellStore, ratings: int | None = None
) -> dict[str, Any]:
    """The figures of all cells that `store` holds, as those of `run_all`; nothing is run."""
    result: dict[str, Any] = {"conditions": {}}
    number, seeds = 0, set[int]()
    for name, one in conditions.items():
        experiment = replace(one.experiment, ratings=ratings or one.experiment.ratings)
        try:
            cells = sorted(store.cells(name, experiment).values(), key=_in_order)
        except BenchError:
            continue  # those of other settings have a table of their own
        if any(cell.arm == "base" for cell in cells):
            result["conditions"][name] = {"about": one.about, **of_different_people(cells, experiment)}
            number, seeds = number + len(cells), seeds | {cell.seed for cell in cells}
    result["settings"] = {"seeds": sorted(seeds), "cells": number}
    return result


def _in_order(cell: Cell) -> tuple[int, str, int]:
    """As the arms are listed, the base first."""
    return (["base", *ALL_ARMS].index(cell.arm), cell.taste, cell.seed)


def _jobs(
    condition: Condition, arms: Sequence[str], tastes: Sequence[str], seeds: Sequence[int]
) -> list[Job]:
    settings = condition.experiment
    # whoever is named twice is one person
    names, drawn = dict.fromkeys(condition.tastes or tastes), dict.fromkeys(seeds)
    wanted = dict.fromkeys(
        arm for arm in arms if arm != "base" and (not condition.arms or arm in condition.arms)
    )
    if not names or not drawn or settings.ratings < 1 or settings.held_out < 1:
        raise BenchError(
            "The learning bench needs at least one taste, one seed, one rating and one held-out prompt."
        )
    if settings.drift_at is not None and settings.ratings < settings.drift_at:
        raise BenchError(
            f"In the condition {condition.name!r} the taste changes after {settings.drift_at} ratings; "
            f"ask for more than {settings.drift_at}, or leave the condition out."
        )
    return [
        Job(
            condition.name,
            settings,
            arm,
            taste,
            seed,
            None if settings.drift_at is None else flipped(taste),
        )
        for taste in names
        for seed in drawn
        for arm in ("base", *wanted)
    ]


def _cells(
    make_learner: MakeLearner,
    jobs: Sequence[Job],
    workers: int,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
    store: CellStore | None,
) -> tuple[list[Cell], float]:
    """The cells in the order of `jobs`, and how many seconds those took that were not there yet."""
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    kept: dict[tuple[str, str, str, int], Cell] = {}
    for name, settings in {job.condition: job.experiment for job in jobs}.items():
        kept |= store.cells(name, settings) if store else {}
    open_ = [job for job in jobs if _key(job) not in kept]
    started, total = time.monotonic(), sum(job.experiment.ratings for job in open_)

    def ticked(ratings: int) -> None:
        tell(ratings / max(1, total), f"{ratings} of {total} ratings, {len(open_)} learners")

    def finished(cell: Cell) -> None:
        kept[cell.condition, cell.arm, cell.taste, cell.seed] = cell
        if store:
            store.add(cell, next(job.experiment for job in jobs if job.condition == cell.condition))

    task = partial(_cell_of, make_learner)
    if workers > 1 and open_:
        parallel.run(task, open_, workers, ticked, stop, finished)
    else:
        count = itertools.count(1)
        for job in open_:
            finished(task(job, lambda: ticked(next(count)), stop))
    return [kept[_key(job)] for job in jobs], time.monotonic() - started


def _key(job: Job) -> tuple[str, str, str, int]:
    return job.condition, job.arm, job.taste, job.seed


def _cell_of(
    make_learner: MakeLearner, job: Job, tick: Callable[[], None], cancelled: Callable[[], bool]
) -> Cell:
    cell = run_cell(make_learner, job.arm, job.taste, job.seed, job.experiment, tick, cancelled, job.then)
    cell.condition = job.condition
    return cell
