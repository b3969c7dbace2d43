"""Conversations are trees: which path is on the screen, and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.records import Feedback, Generation, Message

if TYPE_CHECKING:
    from memory.journal import Journal


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the path with all that its view needs. `place` is (which, of how many) siblings."""

    message: Message
    place: tuple[int, int] = (1, 1)
    generation: Generation | None = None
    rating: Feedback | None = None


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


def leaf(journal: Journal, message_id: str) -> Message:
    """The newest end below `message_id`."""
    node = journal.message(message_id)
    while below := journal.children(node.id):
        node = max(below, key=lambda child: child.created_at)
    return node


def shown(journal: Journal, head_id: str, newest: int) -> tuple[list[Shown], int]:
    """The last `newest` messages of the path to `head_id`, and how many stand before them."""
    path = journal.path(head_id)
    cut = max(len(path) - newest, 0)
    while cut and path[cut].role != "user":  # never start in the middle of an answer
        cut -= 1
    views = []
    for message in path[cut:]:
        if message.role == "assistant":
            generation, rating = journal.generation(message.id), journal.effective(message.id)
            views.append(Shown(message, place(journal, message), generation, rating))
        elif message.role == "user":
            views.append(Shown(message, place(journal, message)))
        else:
            views.append(Shown(message))
    return views, cut
