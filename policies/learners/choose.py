"""Which learner suits a ledger: one readable rule. `attune bench learners` prints the table behind it.

Thumbs call for KTO, a ledger that is mostly pairs for DPO, and imported texts without any rating for SFT.
PPO and GRPO are never chosen by themselves: they take two to three times as long, and learn from the thumbs
only through a reward model that was fitted to those same thumbs. Who asks for them gets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from env.datasets import Pair, Unpaired
from env.imported import Text

Algorithm = Literal["kto", "dpo", "sft"]
FEWEST_PAIRS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    algorithm: Algorithm
    reason: str


def choose(unpaired: Sequence[Unpaired], pairs: Sequence[Pair], texts: Sequence[Text] = ()) -> Choice:
    """DPO only where pairs are at least as many as the thumbs that DPO would have to leave out.

    KTO loses nothing (a pair reads as one reply liked and one disliked), DPO uses a pair better but
    cannot use a lone thumb. A "why" counts as the pair that hindsight makes of it.
    """
    if texts and not unpaired and not pairs:
        return Choice("sft", f"{_count(len(texts), 'imported text')} and no rating")
    in_pairs = {reply for pair in pairs for reply in (pair.chosen_id, pair.rejected_id) if reply}
    outside = [row for row in unpaired if row.reply_id not in in_pairs]
    explained = sum(bool(row.why) and not row.label for row in outside)
    alone, made = len(outside) - explained, len(pairs) + explained
    if made >= FEWEST_PAIRS and made >= alone:
        whys = f", {explained} of them from a reason in words," if explained else ""
        return Choice(
            "dpo", f"{_count(made, 'pair')}{whys} and only {_count(alone, 'thumb')} outside of them"
        )
    return Choice("kto", f"{_count(len(unpaired), 'thumb')} and {_count(len(pairs), 'pair')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
