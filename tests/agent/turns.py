"""What the events of a turn amount to."""

from __future__ import annotations

from collections.abc import Callable

from agent.events import ReplyDone, TextDelta, TurnFailed
from agent.runtime import Runtime

Make = Callable[..., Runtime]


def kinds(events: list) -> list[type]:
    return [type(event) for event in events]


def said(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def done(events: list) -> ReplyDone:
    return next(event for event in events if isinstance(event, ReplyDone))


def failed(events: list) -> str:
    return next(event.text for event in events if isinstance(event, TurnFailed))
