"""Two replies to one message, shown without labels, and what the owner said of them (a blind A/B).

Both are siblings in the tree, in the order in which they are shown; which adapter made which stands in
their generations only. The answer is in the ledger under the source "blind": a pick; or, of both replies,
a thumb down (both are bad) or a clear (they are alike, which counts as nothing). No answer is no event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memory.errors import AttuneError
from memory.journal import Journal
from memory.records import Feedback, Generation, Message

BLIND = "blind"
Choice = Literal["first", "second", "alike", "both bad"]

QUERY = """
SELECT f.seq, f.kind, f.value, message.parent_id, mine.adapter AS adapter, theirs.adapter AS other
FROM feedback AS f
JOIN message ON message.id = f.reply_id
JOIN generation AS mine ON mine.reply_id = f.reply_id
LEFT JOIN generation AS theirs ON theirs.reply_id = f.other_id
WHERE f.source = 'blind' ORDER BY f.seq
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer. `adapters` made the two replies (None: the base); after a pick the first of them won."""

    seq: int
    kind: Literal["pick", "alike", "both bad"]
    adapters: tuple[str | None, str | None]


def keep(
    journal: Journal, parent: Message, replies: Sequence[tuple[str, Generation]], head: int
) -> list[Message]:
    """Write `replies` (text and how it came about) under `parent`, in the order in which they are shown.

    All or none. The conversation goes on from number `head` of them until one is picked.
    """
    with journal.db.transaction():
        kept = [
            journal.add_reply(parent.conversation_id, parent.id, text, generation)
            for text, generation in replies
        ]
        journal.set_head(parent.conversation_id, kept[head].id)
    return kept


def settle(journal: Journal, first_id: str, second_id: str, choice: Choice) -> list[Feedback]:
    """The owner's answer to two replies; a picked one becomes the head. Durable on return.

    Raises AttuneError when it was answered already or the two do not stand beside each other.
    """
    with journal.db.transaction():
        first = journal.message(first_id)
        if any(one.source == BLIND for each in (first_id, second_id) for one in journal.feedback(each)):
            raise AttuneError("You have chosen between these two replies already.")
        if choice in ("first", "second"):
            picked, other = (first_id, second_id) if choice == "first" else (second_id, first_id)
            event = journal.pick(picked, other, source=BLIND)
            journal.set_head(first.conversation_id, picked)
            return [event]
        if first_id == second_id or second_id not in {one.id for one in journal.siblings(first_id)}:
            raise AttuneError("Only two different replies to the same message can be compared.")
        value = -1 if choice == "both bad" else 0
        return [journal.rate(each, value, source=BLIND) for each in (first_id, second_id)]


def verdicts(journal: Journal) -> list[Verdict]:
    """Every answer that still stands in the ledger, oldest first."""
    found: list[Verdict] = []
    halves: dict[str, tuple[int, str | None]] = {}
    for row in journal.db.rows(QUERY):
        if row["kind"] == "pick":
            found.append(Verdict(row["seq"], "pick", (row["adapter"], row["other"])))
        elif row["parent_id"] in halves:  # of the two events of one answer this is the second
            _, other = halves.pop(row["parent_id"])
            kind: Literal["alike", "both bad"] = "both bad" if row["value"] < 0 else "alike"
            found.append(Verdict(row["seq"], kind, (other, row["adapter"])))
        else:
            halves[row["parent_id"]] = row["seq"], row["adapter"]
    return found
