"""The edge of the screen: whatever goes wrong behind it becomes one sentence in front of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.tui.plain import sentence
from memory.errors import AttuneError, NotFound

T = TypeVar("T")
log = logging.getLogger("attune.tui")
GONE = "This {} was forgotten meanwhile, with its conversation; Ctrl+N begins a new one."


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


async def known(doing: Awaitable[T], what: str = "reply") -> T:
    """What `doing` gives. Where that is about a reply that another process deleted meanwhile, the error says
    so: what the journal says is for the command line, which asks for ids."""
    try:
        return await doing
    except NotFound:
        raise AttuneError(GONE.format(what)) from None
