"""Conversations are trees: which path of one is on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.tui.siblings import place
from agent.tui.verdict import NONE, Verdict, verdict
from memory.records import Generation, Message

if TYPE_CHECKING:
    from memory.journal import Journal


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the path with all that its view needs. `place` is (which, of how many) siblings."""

    message: Message
    place: tuple[int, int] = (1, 1)
    generation: Generation | None = None
    verdict: Verdict = NONE


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
            generation, holds = journal.generation(message.id), verdict(journal, message)
            views.append(Shown(message, place(journal, message), generation, holds))
        elif message.role == "user":
            views.append(Shown(message, place(journal, message)))
        else:
            views.append(Shown(message))
    return views, cut
