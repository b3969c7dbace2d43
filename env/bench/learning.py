"""How many thumbs does a taste need? A simulated person rates, a learner learns, held-out prompts tell.

One cell is one learner, one person (taste and seed) and one arm: what the learner may use. The person
asks everyday prompts in `attune/Conversation-v0` and rates the replies; at each checkpoint the learner
replies to held-out prompts, unrated, and the share that meets the taste is its satisfaction. All arms
of one (taste, seed) get the same prompts and the same sampling seeds, so they differ by the arm alone.

The bench knows the product only as a `Learner`, and arms only as names.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any, Protocol

from env.bench import parallel
from env.bench.errors import BenchCancelled, BenchError
from env.bench.report import clustered_bootstrap, first_closing, table
from memory.features import STYLES

ARMS = ("base", "card", "memory", "weights", "all")
CHECKPOINTS = (0, 4, 8, 16, 24, 32, 40)
SEEDS = (0, 1, 2)
# what `--quick` runs: two tastes that have little to do with each other
QUICK: dict[str, Any] = {"tastes": ("brief", "formal"), "seeds": (0,)}
GAP = 0.8

Progress = Callable[[float, str], None]
Prompts = Callable[[str, int, int], Sequence[str]]


class Learner(Protocol):
    """Something that replies, takes ratings and may learn from them. A fresh one for every cell."""

    def reply(self, prompt: str) -> tuple[str, str]:
        """(reply id, text): one turn of its own conversation, as the product would take it."""
        ...

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        """The person's thumb, +1 or -1, for a reply it has just given."""
        ...

    def update(self) -> None:
        """Train now, if its arm trains at all; returns when the new policy speaks."""
        ...

    def replies(self, prompts: Sequence[str], seed: int) -> list[str]:
        """One reply per prompt, each on its own and unrecorded, sampled under `seed`."""
        ...

    def skill_score(self) -> float:
        """Share of the fixed skill probes that it passes now, in [0, 1]."""
        ...

    def close(self) -> None: ...


MakeLearner = Callable[[str, int], Learner]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What every cell does. `noise` and `rate` belong to the person (see env.people)."""

    ratings: int = 40
    checkpoints: tuple[int, ...] = CHECKPOINTS
    update_every: int = 8
    held_out: int = 40
    noise: float = 0.0
    rate: float = 1.0
    prompts: Prompts | None = None

    def measured(self) -> tuple[int, ...]:
        """The checkpoints within `ratings`, the last count included."""
        return tuple(sorted({count for count in self.checkpoints if count <= self.ratings} | {self.ratings}))


@dataclass(slots=True)
class Cell:
    """What one learner did. `held_out` maps a count of ratings to a 0 or 1 for each held-out prompt."""

    arm: str
    taste: str
    seed: int
    held_out: dict[int, list[float]] = field(default_factory=dict)
    ups: int = 0
    skill: float = 0.0
    seconds: float = 0.0


def run(
    make_learner: MakeLearner,
    arms: Sequence[str] = ARMS,
    tastes: Sequence[str] = STYLES,
    seeds: Sequence[int] = SEEDS,
    experiment: Experiment | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Run every (taste, seed, arm) cell and return the figures (see `summarise`).

    "base" always runs, since every figure is read against it. With `workers` > 1 the cells run in
    that many spawned processes of one torch thread each; `make_learner` must then be picklable.
    `cancelled` is asked before every turn; BenchCancelled follows a yes. Whatever a learner raises
    ends the bench: half an experiment has no figures.
    """
    settings = experiment or Experiment()
    arms = ("base", *[arm for arm in arms if arm != "base"])
    jobs = [(arm, taste, seed) for taste in tastes for seed in seeds for arm in arms]
    if not jobs or settings.ratings < 1 or settings.held_out < 1:
        raise BenchError(
            "The learning bench needs at least one taste, one seed, one rating and one held-out prompt."
        )
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    started, total = time.monotonic(), len(jobs) * settings.ratings

    def ticked(ratings: int) -> None:
        tell(ratings / total, f"{ratings} of {total} ratings, {len(jobs)} learners")

    task = partial(_cell_of, make_learner, settings)
    if workers > 1:
        cells = parallel.run(task, jobs, workers, ticked, stop)
    else:
        count = itertools.count(1)
        cells = [task(job, lambda: ticked(next(count)), stop) for job in jobs]
    result = summarise(cells, settings)
    result["seconds"] = time.monotonic() - started
    result["settings"]["workers"] = workers
    return result


def run_cell(
    make_learner: MakeLearner,
    arm: str,
    taste: str,
    seed: int,
    experiment: Experiment,
    tick: Callable[[], None] = lambda: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Cell:
    """One learner and one person, from no rating to the last. `tick` is called after each rating."""
    import gymnasium

    from env.conversation import ENV_ID
    from env.people import Person

    prompts = experiment.prompts or _everyday_prompts
    judge = Person(taste)
    asked = list(prompts("held_out", experiment.held_out, seed))
    # a person who rates rarely is asked more; the factor leaves room for a long silence
    turns = math.ceil(experiment.ratings / max(experiment.rate, 0.01)) * 5
    person = gymnasium.make(
        ENV_ID,
        max_episode_steps=turns,
        taste=taste,
        noise=experiment.noise,
        rate=experiment.rate,
        prompts=list(prompts("train", min(turns, 400), seed)),
    )
    cell = Cell(arm, taste, seed)
    started = time.monotonic()
    with _closing(make_learner(arm, seed)) as learner:

        def measure(rated: int) -> None:
            if rated in experiment.measured():
                # the seed depends on the checkpoint, not on the arm: equal learners give equal figures
                texts = learner.replies(asked, seed * 1000 + rated)
                cell.held_out[rated] = [float(judge.satisfied(text)) for text in texts]

        measure(0)
        prompt, _ = person.reset(seed=seed)
        rated, over = 0, False
        while rated < experiment.ratings:
            if cancelled():
                raise BenchCancelled
            if over:
                raise BenchError(
                    f"The person gave only {rated} ratings in {turns} turns; raise `rate` or ask for fewer."
                )
            reply_id, text = learner.reply(prompt)
            prompt, _, _, over, info = person.step(text)
            if not info["verdict"]:
                continue
            learner.rate(reply_id, info["verdict"])
            rated += 1
            cell.ups += info["verdict"] > 0
            if rated % experiment.update_every == 0:
                learner.update()
            measure(rated)
            tick()
        cell.skill = learner.skill_score()
    cell.seconds = time.monotonic() - started
    return cell


def summarise(cells: Sequence[Cell], experiment: Experiment) -> dict[str, Any]:
    """The figures: {"arms": {ARM: {"satisfaction", "ratings_to_80", "retention", …}}, …}.

    satisfaction   {count: [mean, low, high]}, 95 % by a bootstrap over cells, then over their prompts.
    ratings_to_80  the first *measured* count of ratings at which the mean curve has closed 80 % of the
                   gap from the base arm's mean (over all its checkpoints: it does not learn) to 1;
                   None if it never does. "ratings_to_80_between" reads the same curve as straight
                   between the checkpoints, so it is at most that number.
    retention      mean skill score after the last rating over that of the base arm; None if that is 0.
    """
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    tastes = list(dict.fromkeys(cell.taste for cell in cells))
    of = {arm: [cell for cell in cells if cell.arm == arm] for arm in arms}
    result: dict[str, Any] = {"arms": {}, "per_taste": {}}
    skill = fmean([cell.skill for cell in of["base"]])
    for arm in arms:
        counts = sorted(of[arm][0].held_out)
        bands = {n: clustered_bootstrap([cell.held_out[n] for cell in of[arm]]) for n in counts}
        after = fmean([cell.skill for cell in of[arm]])
        result["arms"][arm] = {
            "satisfaction": {str(n): list(band) for n, band in bands.items()},
            **_to_80({n: band.mean for n, band in bands.items()}, _level(of["base"])),
            "retention": after / skill if skill else None,
            "skill": after,
            "ups": fmean([cell.ups for cell in of[arm]]),
            "seconds_per_cell": fmean([cell.seconds for cell in of[arm]]),
        }
        result["per_taste"][arm] = {}
        for taste in tastes:
            mine = [cell for cell in of[arm] if cell.taste == taste]
            curve = {n: fmean([value for cell in mine for value in cell.held_out[n]]) for n in counts}
            level = _level([cell for cell in of["base"] if cell.taste == taste])
            result["per_taste"][arm][taste] = {
                "satisfaction": {str(n): mean for n, mean in curve.items()},
                **_to_80(curve, level),
            }
    result["base_satisfaction"] = _level(of["base"])
    result["settings"] = {
        "tastes": tastes,
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
        "ratings": experiment.ratings,
        "update_every": experiment.update_every,
        "held_out_prompts": experiment.held_out,
        "noise": experiment.noise,
        "rate": experiment.rate,
        "ratings_to_80": "first measured count with 80 % of the gap from the base arm's mean to 1 closed",
    }
    return result


def as_table(result: Mapping[str, Any]) -> str:
    """`result` for the terminal: one line an arm."""
    counts = list(result["arms"]["base"]["satisfaction"])
    rows = [
        [
            arm,
            *[f"{figures['satisfaction'][n][0]:.2f}" for n in counts],
            figures["ratings_to_80"],
            figures["retention"],
        ]
        for arm, figures in result["arms"].items()
    ]
    return table(["arm", *counts, "ratings to 80 %", "retention"], rows)


def _to_80(curve: Mapping[int, float], base: float) -> dict[str, float | None]:
    measured, between = first_closing(curve, base, GAP)
    return {"ratings_to_80": measured, "ratings_to_80_between": between}


def _level(base: Sequence[Cell]) -> float:
    return fmean([value for cell in base for values in cell.held_out.values() for value in values])


def _cell_of(
    make_learner: MakeLearner,
    experiment: Experiment,
    job: tuple[str, str, int],
    tick: Callable[[], None],
    cancelled: Callable[[], bool],
) -> Cell:
    return run_cell(make_learner, *job, experiment, tick, cancelled)


def _everyday_prompts(split: str, n: int, seed: int) -> Sequence[str]:
    from env.skills.probes import everyday_prompts

    return everyday_prompts(split, n, seed)


@contextmanager
def _closing(learner: Learner) -> Iterator[Learner]:
    try:
        yield learner
    finally:
        learner.close()
