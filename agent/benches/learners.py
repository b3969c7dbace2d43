"""`attune bench learners`: the same ratings for every learner, and what each makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agent.benches.learner import BenchLearner
from agent.benches.learning import check, store_of

Progress = Callable[[float, str], None]


class Student(BenchLearner):
    """Speaks to the person as the base, and to the held-out prompts as what its last update made of it.

    The arm is the algorithm; "base" never trains. A candidate that the gate rejects is asked all the same.
    """

    def __init__(self, arm: str, seed: int, model: str | None = None, device: str = "auto") -> None:
        super().__init__(arm, seed, model, device, algorithm=arm)
        self._candidate: tuple[str, str] | None = None

    def update(self) -> None:
        self._candidate = None
        if self.arm == "base" or (result := self._train()) is None:
            return
        adapter = self.runtime.registry.get(result.adapter)
        self._candidate = (adapter.version, adapter.path)
        self.runtime.registry.activate(None, "the person rates the base", self.policy.spec.sha256)
        self.runtime.sync_between_replies()

    def replies(self, prompts: Sequence[str], seed: int) -> list[str]:
        if self._candidate is None:
            return super().replies(prompts, seed)
        self.policy.swap(*self._candidate)
        try:
            return super().replies(prompts, seed)
        finally:
            self.policy.swap(None)


def run(
    model: str | None = None,
    learners: Sequence[str] = (),
    tastes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    ratings: Sequence[int] = (),
    ledgers: Sequence[str] = (),
    out: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The figures of `env.bench.learners`. What is empty is as it stands there; five tastes, three seeds."""
    from env.bench import learners as bench
    from env.bench.learning import SEEDS, run_all
    from memory.taste.features import STYLES
    from policies.update.material import ALGORITHMS

    check("learners", learners, ALGORITHMS)
    check("ledgers", ledgers, bench.LEDGERS)
    known = bench.ledgers(tuple(sorted(ratings)) or bench.RATINGS)
    return run_all(
        partial(Student, model=model),
        {name: known[name] for name in ledgers or known},
        arms=tuple(learners) or bench.LEARNERS,
        tastes=check("tastes", tastes) or STYLES,
        seeds=tuple(seeds) or SEEDS,
        workers=workers,
        progress=progress,
        cancelled=cancelled,
        store=store_of(out, model) if out else None,
    )
