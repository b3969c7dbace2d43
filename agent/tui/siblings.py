"""What stands beside a message: other branches of the person's, and other replies to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory.records import Message

if TYPE_CHECKING:
    from memory.journal import Journal


def fork(journal: Journal, message: Message) -> list[Message]:
    """`message` and what may stand in its place, oldest first.

    A reply that used tools hangs below its tool calls, so its siblings are those of the whole answer:
    the nearest node above it, up to the user's turn, that has any.
    """
    node = message
    while True:
        siblings = journal.siblings(node.id)
        if len(siblings) > 1 or node.role == "user" or node.parent_id is None:
            return siblings
        parent = journal.message(node.parent_id)
        if parent.role == "user":
            return siblings
        node = parent


def place(journal: Journal, message: Message) -> tuple[int, int]:
    """(1-based place, number) of `message` among what `fork` gives."""
    siblings = fork(journal, message)
    if len(siblings) < 2:
        return 1, 1
    ids = [sibling.id for sibling in siblings]
    above = {node.id for node in journal.path(message.id)}
    return next((index + 1 for index, one in enumerate(ids) if one in above), 1), len(ids)


def rivals(journal: Journal, message: Message) -> tuple[str, dict[str, bool]]:
    """(the part of this answer that has siblings, which of them lost the newest pick between the two)."""
    siblings = fork(journal, message)
    above = {node.id for node in journal.path(message.id)}
    chosen = next((one.id for one in siblings if one.id in above), message.id)
    newest = {one.id: journal.newest_pick(chosen, one.id) for one in siblings if one.id != chosen}
    return chosen, {one: pick is not None and pick.reply_id == chosen for one, pick in newest.items()}
