"""What the ratings that come in say of the adapter that speaks.

An adapter on trial is better than what spoke before, worse, or that is open; and any adapter may have learned
a taste that is gone.

An edit is a thumb down on the reply that was edited, unless that has a thumb of its own; a pick between the
replies of two adapters is a thumb up for the one and down for the other. (Blind picks have a test of their
own, policies/win_rate.py.) These thumbs under the adapter are compared by tests that may be looked at after
every thumb (`statistics.TwoSampleTest`); so nobody has to say beforehand how many ratings the trial takes. It
is worse than what it took the place of, or open: in the pool of all that ever spoke, the many thumbs down of
the bare base would hide that a bad adapter came after a good one. An update comes every few thumbs, so half
of that bet is on all adapters before it together, which have more: the mean of two e-values is one again
(Vovk & Wang 2021, Annals of Statistics 49.3). It is better than those of the pool whose prompts had the same
lines of the card, unless less of it is liked than of the one before: what a line that came meanwhile has made
better is none of its merit. Thumbs on another base's replies say nothing here and are left out, and so are
those that had faded with a taste that is gone when the trial began: what was liked then is no measure for an
adapter of the new taste.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from memory.comparisons import BLIND
from memory.records import Adapter, Feedback, Generation, Message
from memory.taste.fading import FADED
from policies.statistics import Decision, TwoSampleTest

# The chance of a wrong promotion by thumbs over the whole of a trial, and of a wrong rollback where the card
# has not made replies worse meanwhile. Blind picks are tested by themselves, at a level of their own.
ALPHA = 0.05
# Before this many thumbs nothing is decided: a bad minute is not a bad adapter.
FEWEST_THUMBS = 4
TRIED = "a style that is only tried"
# where the report of an adapter says that it does not speak any more because the taste has changed
SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True)
class Trial:
    """(liked, all) under the adapter and before; e-values at the moment of the decision, or now.

    `before` is what the adapter took the place of, or all adapters before it where it is worse than those, or
    all that ever spoke where these have too few thumbs; where it is better, both count what was said under
    the same lines of the card.
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
    line: Sequence[str | None] = (None,),
    alpha: float = ALPHA,
    *,
    lost: Mapping[str, Generation] | None = None,
) -> Trial:
    """How `adapter` does by the thumbs of `ledger` (oldest first); stops at the thumb that decides.

    `weights` are those of the card by reply when the trial began, 1 for a reply that is not among them;
    `line` are the versions that it took the place of one after another, the latest first
    (`AdapterRegistry.line`), None for the base. `lost` are the generations of the replies that lost a pick,
    by reply.
    """
    pool, pair, before = TwoSampleTest(alpha), TwoSampleTest(alpha), TwoSampleTest(alpha)
    alike, worse = _Alike(alpha), [pool]
    decided: Decision | None = None
    for reply_id, generation, liked in _verdicts(ledger, lost or {}):
        if generation.base != adapter.base or weights.get(reply_id, 1.0) < FADED:
            continue
        mine = generation.adapter == adapter.version
        pool.count(mine, liked)
        # which style is tried in a turn is drawn; that one is tried is what turns have in common
        alike.update(TRIED if generation.trial else generation.card_lines, mine, liked)
        if mine or generation.adapter in line[:1]:
            pair.count(mine, liked)
        if mine or generation.adapter in line:
            before.count(mine, liked)
        # with one adapter before it the two are the same
        both = (pair, before) if len(line) > 1 else (pair,)
        worse = [one for one in both if sum(one.old) >= FEWEST_THUMBS] or [pool]
        if sum(pool.new) >= FEWEST_THUMBS:
            if _e_worse(worse) >= 1 / alpha:
                # an early lead under another line of the card does not excuse what comes after it
                decided = "worse"
            elif alike.better and not _behind(worse[0].new, worse[0].old):
                decided = "better"
        if decided:
            break
    against = max(worse, key=lambda one: one.e_worse) if decided == "worse" else worse[0]
    new, old = alike.compared if decided == "better" else (against.new, against.old)
    return Trial(decided, (new[0], sum(new)), (old[0], sum(old)), alike.e_better, _e_worse(worse))


def _e_worse(tests: Sequence[TwoSampleTest]) -> float:
    return fmean(one.e_worse for one in tests)


def _verdicts(
    ledger: Iterable[tuple[Feedback, Message, Generation]], lost: Mapping[str, Generation]
) -> Iterator[tuple[str, Generation, bool]]:
    """(reply id, how it came about, whether it was liked) of everything in `ledger` that judges a reply."""
    events = list(ledger)
    judged = {reply.id for feedback, reply, _ in events if feedback.kind == "thumb"}
    for feedback, reply, generation in events:
        if feedback.kind == "thumb":
            yield reply.id, generation, feedback.value > 0
        elif feedback.kind == "edit" and reply.id not in judged:
            judged.add(reply.id)  # edited once more, it is no more disliked
            yield reply.id, generation, False
        elif feedback.kind == "pick" and feedback.source != BLIND:
            other = lost.get(feedback.other_id or "")
            if other is not None and other.adapter != generation.adapter:
                yield reply.id, generation, True
                yield other.reply_id, other, False


class _Alike:
    """The test for "better" within each set of card lines; e-values of different thumbs are multiplied.

    A product of e-processes that take turns is one again (Ramdas et al. 2023, Statistical Science 38.4).
    """

    def __init__(self, alpha: float) -> None:
        self._limit = math.log(1 / alpha)
        # by lines of the card: [liked, disliked] under the adapter and before, and the log of the e-value
        self._seen: dict[object, tuple[list[int], list[int]]] = {}
        self._logs: dict[object, float] = {}
        self.better = False

    def update(self, lines: object, new: bool, win: bool) -> None:
        both = self._seen.setdefault(lines, ([0, 0], [0, 0]))
        both[0 if new else 1][0 if win else 1] += 1
        if all(map(sum, both)):
            self._logs[lines] = TwoSampleTest.log_e(*both)
            self.better = self.better or sum(self._logs.values()) >= self._limit

    @property
    def e_better(self) -> float:
        return math.exp(min(700.0, sum(self._logs.values())))

    @property
    def compared(self) -> tuple[list[int], list[int]]:
        """([liked, disliked] under the adapter, before) of the lines that both had."""
        new, old = [0, 0], [0, 0]
        for lines in self._logs:
            for total, side in zip((new, old), self._seen[lines], strict=True):
                total[0] += side[0]
                total[1] += side[1]
        return new, old


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
