"""The ledger cut for one update: which algorithm, what to train on, what to test with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from env.datasets import Pair, Reply, Unpaired, rows, split, unpair
from memory.journal import Journal
from policies.gate import WORD
from policies.learners.choose import choose
from policies.update_lock import UpdateError

ALGORITHMS = ("auto", "kto", "dpo")
# below this many rows every one of them is needed for training, and a handful would prove nothing
FEWEST_TO_HOLD_OUT = 16


class NothingToLearn(UpdateError):
    """The ledger has no signals, or none that could be told apart."""


@dataclass(frozen=True, slots=True)
class Material:
    """The ledger, cut for one algorithm: what to train on, and what to test with.

    `last_seq` is the newest event that was there when the ledger was read.
    """

    algorithm: str
    why: str
    train: Sequence[Unpaired] | Sequence[Pair]
    test: Sequence[Unpaired] | Sequence[Pair]
    signals: int
    last_seq: int


def material(journal: Journal, algorithm: str = "auto", hold_out: float = 0.2) -> Material:
    """Cut the ledger for `algorithm`. Raises NothingToLearn with a sentence that says what to rate."""
    if algorithm not in ALGORITHMS:
        raise UpdateError(f"There is no algorithm {algorithm!r}: choose {', '.join(ALGORITHMS)}.")
    # read first: an event that comes in between is then counted as new, never as learned
    last_seq = journal.last_seq()
    thumbs, pairs = rows(journal)
    events = [row.feedback_ids for row in thumbs] + [pair.feedback_ids for pair in pairs]
    signals = len({event for some in events for event in some})
    if not signals:
        raise NothingToLearn("Nothing has been rated yet: rate a few replies up and down, then train.")
    # How signals are counted stays as it is: what is left out below was rated all the same.
    thumbs = [row for row in thumbs if _speaks(row.completion)]
    spoken = [pair for pair in pairs if _speaks(pair.chosen) and _speaks(pair.rejected)]
    why = "asked for"
    if algorithm == "auto":
        choice = choose(thumbs, spoken)
        algorithm, why = choice.algorithm, choice.reason
    if algorithm == "dpo":
        if not spoken:
            raise NothingToLearn(
                "DPO learns from pairs and there are none: edit a reply, or regenerate and pick."
            )
        train, test = _cut(spoken, hold_out)
        return Material("dpo", why, train, test, signals, last_seq)
    singles = [row for row in unpair(thumbs, pairs) if _speaks(row.completion)]
    liked = sum(row.label for row in singles)
    if liked in (0, len(singles)):
        way, other = ("up", "down") if liked else ("down", "up")
        raise NothingToLearn(
            f"All ratings so far are thumbs {way} ({len(singles)}), so there is nothing to tell apart: "
            f"rate a reply {other}, or edit one."
        )
    train_rows, test_rows = _cut(singles, hold_out)
    return Material("kto", why, train_rows, test_rows, signals, last_seq)


def _speaks(reply: Reply) -> bool:
    """Whether there is anything to learn from: a reply that broke off before its first word has not."""
    return reply.finished or bool(reply.text.strip())


def _cut(data: Any, hold_out: float) -> tuple[Any, Any]:
    return split(data, hold_out) if len(data) >= FEWEST_TO_HOLD_OUT else (list(data), [])


def system_message(material: Material) -> str | None:
    """The persona that the newest row was shown, without the preference card under it."""
    first = material.train[-1].prompt.messages[0]
    return str(first["content"]).split("\n\n")[0] if first.get("role") == "system" else None


def liked_words(material: Material) -> list[int]:
    """Length in words of every reply that the owner liked or wrote."""
    liked = [
        row.chosen.text if isinstance(row, Pair) else row.completion.text
        for row in material.train
        if isinstance(row, Pair) or row.label
    ]
    return [len(WORD.findall(text)) for text in liked]
