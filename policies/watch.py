"""What the ratings that come in say of the adapter that speaks.

An adapter on trial is better than what spoke before, worse, or that is open; and any adapter may have learned
a taste that is gone.

The thumbs under the adapter are compared by tests that may be looked at after every thumb
(`statistics.TwoSampleTest`); so nobody has to say beforehand how many ratings the trial takes. It is worse
than what it took the place of, or open: in the pool of all that ever spoke, the many thumbs down of the bare
base would hide that a bad adapter came after a good one. It is better than that pool, unless less of
it is liked than of the one before. Thumbs on another base's replies say nothing here and are left out, and
so are those that had faded with a taste that is gone when the trial began: what was liked then is no
measure for an adapter of the new taste.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from memory.fading import FADED
from memory.records import Adapter, Feedback, Generation, Message
from policies.statistics import Decision, TwoSampleTest

# The chance of a wrong rollback, and of a wrong promotion, over the whole of a trial.
ALPHA = 0.05
# Before this many thumbs nothing is decided: a bad minute is not a bad adapter.
FEWEST_THUMBS = 4
# where the report of an adapter says that it does not speak any more because the taste has changed
SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True)
class Trial:
    """(liked, all) under the adapter and before; e-values at the moment of the decision, or now.

    `before` is what the adapter took the place of, or all that spoke before where that has too few thumbs.
    """

    decided: Decision | None
    under: tuple[int, int]
    before: tuple[int, int]
    e_better: float
    e_worse: float

    @property
    def behind(self) -> bool:
        """Whether less under the adapter was liked than before; no test, and so no reason to take it off."""
        return _behind(*((liked, count - liked) for liked, count in (self.under, self.before)))

    @property
    def text(self) -> str:
        """Such as "0 of 4 replies under it were liked, 6 of 6 before"."""
        return (
            f"{self.under[0]} of {self.under[1]} replies under it were liked, "
            f"{self.before[0]} of {self.before[1]} before"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "decided": self.decided,
            "under": list(self.under),
            "before": list(self.before),
            "e_better": self.e_better,
            "e_worse": self.e_worse,
            "alpha": ALPHA,
        }


def trial(
    adapter: Adapter,
    ledger: Iterable[tuple[Feedback, Message, Generation]],
    weights: Mapping[str, float],
    replaced: str | None = None,
    alpha: float = ALPHA,
) -> Trial:
    """How `adapter` does by the thumbs of `ledger` (oldest first); stops at the thumb that decides.

    `weights` are those of the card by reply when the trial began, 1 for a reply that is not among them;
    `replaced` is the version that it took the place of, None for the base.
    """
    pool, pair = TwoSampleTest(alpha), TwoSampleTest(alpha)
    decided: Decision | None = None
    against = pool
    for feedback, reply, generation in ledger:
        if feedback.kind != "thumb" or generation.base != adapter.base:
            continue
        if weights.get(reply.id, 1.0) < FADED:
            continue
        mine, liked = generation.adapter == adapter.version, feedback.value > 0
        pool.update(mine, liked)
        if mine or generation.adapter == replaced:
            pair.update(mine, liked)
        against = pair if sum(pair.old) >= FEWEST_THUMBS else pool
        decided = _decided(pool, against)
        if decided:
            break
    test = pool if decided == "better" else against
    return Trial(
        decided,
        (test.new[0], sum(test.new)),
        (test.old[0], sum(test.old)),
        pool.e_values[0],
        against.e_values[1],
    )


def _decided(pool: TwoSampleTest, against: TwoSampleTest) -> Decision | None:
    if sum(pool.new) < FEWEST_THUMBS:
        return None
    if against.decided == "worse":
        return "worse"
    return "better" if pool.decided == "better" and not _behind(against.new, against.old) else None


def _behind(new: Sequence[int], old: Sequence[int]) -> bool:
    """Whether less of `new` than of `old` was liked, each (liked, disliked) with anything in it at all."""
    return bool(sum(new) and sum(old)) and new[0] / sum(new) < old[0] / sum(old)


def outdated(adapter: Adapter, weights: Mapping[str, float]) -> bool:
    """Whether the ratings that `adapter` learned from have faded; `weights` are those of the card by reply.

    In the mean, since when a taste changed is never known to the very reply: the newest few of the old taste
    fade a thumb or two after the others. Replies that are not among them were judged for what they say, and
    tell nothing.
    """
    learned = adapter.report.get("trained_on", {}).get("replies", ())
    known = [weights[reply] for reply in learned if reply in weights]
    return bool(known) and fmean(known) < FADED
