"""Which learner suits a ledger: thumbs call for KTO, a ledger that is mostly pairs for DPO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from env.datasets import Pair, Unpaired

Algorithm = Literal["kto", "dpo"]
FEWEST_PAIRS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    algorithm: Algorithm
    reason: str


def choose(unpaired: Sequence[Unpaired], pairs: Sequence[Pair]) -> Choice:
    """DPO only where pairs are at least as many as the thumbs that DPO would have to leave out.

    KTO loses nothing (a pair reads as one reply liked and one disliked), DPO uses a pair better but
    cannot use a lone thumb.
    """
    in_pairs = {reply for pair in pairs for reply in (pair.chosen_id, pair.rejected_id) if reply}
    alone = sum(row.reply_id not in in_pairs for row in unpaired)
    if len(pairs) >= FEWEST_PAIRS and len(pairs) >= alone:
        return Choice(
            "dpo", f"{_count(len(pairs), 'pair')} and only {_count(alone, 'thumb')} outside of them"
        )
    return Choice("kto", f"{_count(len(unpaired), 'thumb')} and {_count(len(pairs), 'pair')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
