"""`attune bench learning`: a real agent for every arm of the experiment (env/bench/learning.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agent
from agent.benches.arms import make_learner
from agent.benches.learner import BenchLearner

if TYPE_CHECKING:
    from env.bench.learning_store import CellStore

__all__ = ["BenchLearner", "Wanted", "run"]

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run besides the small bench. Empty or None: as the small bench has it, or as `full` has it.

    `conditions` run with the arms, tastes and seeds of the small bench. `full` is all conditions, all arms,
    all tastes of env.people.BENCH_TASTES and five seeds. In the folder `out` every finished cell is kept,
    and when all are there, the figures of whatever that folder holds are written beside them.
    """

    conditions: Sequence[str] = ()
    arms: Sequence[str] = ()
    tastes: Sequence[str] = ()
    seeds: Sequence[int] = ()
    ratings: int | None = None
    full: bool = False
    out: Path | None = None

    @property
    def small(self) -> bool:
        return not (self.conditions or self.full)


def run(
    model: str | None = None,
    quick: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    wanted: Wanted | None = None,
) -> dict[str, Any]:
    """The figures of `env.bench.learning` for this product; by condition, if any was asked for."""
    from env.bench import learning
    from env.bench.errors import BenchError
    from env.bench.learning_conditions import conditions

    wanted = wanted or Wanted()
    known = conditions(wanted.conditions)
    people: dict[str, Any] = {**(_full() if wanted.full else {}), **(learning.QUICK if quick else {})}
    people |= {
        name: tuple(given)
        for name, given in (("arms", wanted.arms), ("tastes", wanted.tastes), ("seeds", wanted.seeds))
        if given
    }
    check("arms", wanted.arms, learning.ALL_ARMS)
    check("tastes", wanted.tastes)
    own = [name for name in wanted.conditions if known[name].tastes]
    if wanted.tastes and own and len(own) == len(known):
        raise BenchError(f"--tastes says nothing to {' and '.join(own)}, which has its own: leave it out.")
    store = store_of(wanted.out, model) if wanted.out else None
    how: dict[str, Any] = {
        "workers": workers,
        "progress": progress,
        "cancelled": cancelled,
        "store": store,
        **people,
    }
    learner = partial(make_learner, model=model)
    if not wanted.small:
        return learning.run_all(learner, known, ratings=wanted.ratings, **how)
    if wanted.ratings is not None:
        how["experiment"] = learning.Experiment(ratings=wanted.ratings)
    return learning.run(learner, **how)


def all_kept(folder: Path, model: str | None = None, ratings: int | None = None) -> dict[str, Any]:
    """The figures of whatever cells lie in `folder`, by condition, with how many people each arm has."""
    from env.bench.learning import run_none
    from env.bench.learning_conditions import conditions

    return run_none(conditions(), store_of(folder, model), ratings)


def store_of(folder: Path, model: str | None) -> CellStore:
    from env.bench.learning_store import CellStore

    return CellStore(folder, weights_of(model), code_digest())


@cache
def code_digest() -> str:
    """Of all code that a learner or a person runs: cells of different code are not of one experiment."""
    root, digest = Path(agent.__file__).parents[1], hashlib.sha256()
    for package in ("agent", "env", "memory", "policies"):
        for path in sorted((root / package).rglob("*.py")):
            if not {"tui", "cli"} & set(path.relative_to(root).parts):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def keep(
    result: dict[str, Any], folder: Path, table: Callable[[dict[str, Any]], str] | None = None
) -> str | None:
    """Write results.json, results.txt and results.png into `folder`; a sentence if there was no PNG."""
    from env.bench.errors import BenchError
    from env.bench.learning import as_table, as_tables
    from env.bench.plots import png
    from env.bench.report import to_json

    text = (table or (as_tables if "conditions" in result else as_table))(result)
    (folder / "results.json").write_text(to_json(result) + "\n", encoding="utf-8")
    (folder / "results.txt").write_text(text + "\n", encoding="utf-8")
    try:
        png(result, folder / "results.png")
    except BenchError as missing:
        return str(missing)
    return None


def _full() -> dict[str, Any]:
    from env.bench.learning import ALL_ARMS, FULL_SEEDS
    from env.people import BENCH_TASTES

    return {"arms": ALL_ARMS, "tastes": BENCH_TASTES, "seeds": FULL_SEEDS}


def check(name: str, given: Sequence[str], known: Collection[str] = ()) -> tuple[str, ...]:
    """`given`, all of which are `known` (by default: tastes). Raises BenchError with their names."""
    from env.bench.errors import BenchError
    from env.people import TASTES

    for one in given:
        if one not in (known or TASTES):
            raise BenchError(f"{one!r} is not among the {name}: {', '.join(known or TASTES)}.")
    return tuple(given)


def weights_of(model: str | None) -> str:
    """Name and digest of the weights that a bench begins with."""
    from policies.base_models import resolve

    spec = resolve(model)
    return f"{spec.name} {spec.sha256[:12]}"
