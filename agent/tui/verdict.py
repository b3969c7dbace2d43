"""What the person thinks of a reply, as the ledger has it: the thumb, their own version, and the pick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.tui.siblings import rivals
from memory.records import Feedback, Message

if TYPE_CHECKING:
    from memory.journal import Journal


@dataclass(frozen=True, slots=True)
class Verdict:
    """`version` is the newest text that the person wrote in the place of the reply; `picked`: over all of
    its siblings."""

    thumb: Feedback | None = None
    version: str | None = None
    picked: bool = False


NONE = Verdict()


def verdict(journal: Journal, message: Message) -> Verdict:
    """What holds for a reply now. Raises NotFound when it is gone."""
    _, beaten = rivals(journal, message)
    picked = bool(beaten) and all(beaten.values())
    return Verdict(journal.effective(message.id), version(journal, message.id), picked)


def version(journal: Journal, reply_id: str) -> str | None:
    """The newest edit of a reply: by the clock, since an import brings older ones later."""
    edits = [event for event in journal.feedback(reply_id) if event.kind == "edit"]
    return max(edits, key=lambda event: (event.created_at, event.seq)).text if edits else None
