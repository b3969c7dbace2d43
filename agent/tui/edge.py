"""The edge of the screen: whatever goes wrong behind it becomes one sentence in front of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.tui.plain import sentence
from memory.errors import AttuneError

T = TypeVar("T")
log = logging.getLogger("attune.tui")


def told(error: Exception, where: str) -> str:
    """The sentence for `error`. What is no error of ours is also written to the log, with its traceback."""
    if not isinstance(error, AttuneError):
        log.error("%s failed", where, exc_info=error)
    return sentence(error)


async def caught(doing: Awaitable[T], say: Callable[[str], None], where: str) -> T | None:
    """What `doing` gives, or None after `say` was given the sentence about what went wrong."""
    try:
        return await doing
    except Exception as error:
        say(told(error, where))
        return None
