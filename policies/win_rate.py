"""How often the owner picks one adapter's reply over another's when nothing says which is which.

The order on the screen is random and the turns are chosen before anything is said, so the share of picks
estimates the preference without a bias for either side. Replies that were called alike, or both bad, say
nothing about which is better and are left out, as in the sign test. The test may be looked at after every
pick (policies/statistics.py), and once it has decided the two are not compared any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memory.comparisons import Verdict, verdicts
from memory.journal import Journal


@dataclass(frozen=True, slots=True)
class WinRate:
    """Blind picks of `adapter` over `against` (None: the base). `e_value` is that of the sequential test."""

    adapter: str | None
    against: str | None
    wins: int
    losses: int
    alike: int
    both_bad: int
    e_value: float
    decided: Literal["better", "worse"] | None

    @property
    def picks(self) -> int:
        return self.wins + self.losses

    @property
    def text(self) -> str:
        """One line: "v3 against base: 7 of 9, not decided yet"."""
        verdict = self.decided or "not decided yet"
        share = f"{self.wins} of {self.picks}" if self.picks else "no pick"
        if self.decided and self.picks:
            # a test that stops at a lead stops at a share that is a little too good
            share += " when it was decided"
        return f"{self.adapter or 'base'} against {self.against or 'base'}: {share}, {verdict}"


def win_rate(journal: Journal, adapter: str | None, against: str | None = None) -> WinRate:
    """What the blind picks say of `adapter` against another one, or against the base (None)."""
    return _count(verdicts(journal), adapter, against)


def win_rates(journal: Journal, adapter: str | None) -> list[WinRate]:
    """One for each that `adapter` was compared with, the latest first; empty when it never was."""
    answers = verdicts(journal)
    others: dict[str | None, None] = {}
    for answer in reversed(answers):
        if adapter in answer.adapters and answer.adapters[0] != answer.adapters[1]:
            one, two = answer.adapters
            others[two if one == adapter else one] = None
    return [_count(answers, adapter, other) for other in others]


def _count(answers: Sequence[Verdict], adapter: str | None, against: str | None) -> WinRate:
    from policies.statistics import SequentialTest

    test = SequentialTest()
    picks = {True: 0, False: 0}
    rest = {"alike": 0, "both bad": 0}
    for answer in answers:
        if answer.adapters not in ((adapter, against), (against, adapter)) or adapter == against:
            continue
        if answer.kind == "pick":
            won = answer.adapters[0] == adapter
            picks[won] += 1
            test.update(won)
        else:
            rest[answer.kind] += 1
    return WinRate(
        adapter,
        against,
        wins=picks[True],
        losses=picks[False],
        alike=rest["alike"],
        both_bad=rest["both bad"],
        e_value=float(test.e_value),
        decided=test.decided,
    )
