"""What one turn tells its face. A face draws these and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memory.records import Generation, Message, Passage, Recalled


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The user's message is durable."""

    message: Message


@dataclass(frozen=True, slots=True)
class RecallDone:
    recalled: tuple[Recalled, ...]
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence for the person, such as that the oldest turns were left out."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    name: str
    arguments: dict[str, Any]
    result: str
    ok: bool


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The reply is in the journal. Cancelled replies are kept too (`finish_reason` "cancelled")."""

    message: Message
    generation: Generation
    context_tokens: int


@dataclass(frozen=True, slots=True)
class ReplyKept:
    """What was said of a reply that broke off is in the journal and the conversation goes on from it
    (`finish_reason` "error"); a TurnFailed with the reason follows."""

    message: Message
    generation: Generation


@dataclass(frozen=True, slots=True)
class BlindStarted:
    """Two replies are being written, which come together. Text after it means that one was enough."""


@dataclass(frozen=True, slots=True)
class BlindReplies:
    """Two replies to choose between are in the journal; the end of such a turn, instead of ReplyDone.

    They stand in the order in which they are shown, and nothing here says which adapter made which.
    """

    first: Message
    second: Message
    context_tokens: int


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """One clear sentence; everything said so far is kept."""

    text: str


Event = (
    TurnStarted
    | RecallDone
    | Notice
    | TextDelta
    | ToolStarted
    | ToolFinished
    | ReplyDone
    | ReplyKept
    | BlindStarted
    | BlindReplies
    | TurnFailed
)
