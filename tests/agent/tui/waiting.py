"""Waiting for what should be on the screen, and a running app to wait with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from rich.cells import cell_len
from textual.app import App
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import DataTable, Static

from agent.tui.app import AttuneApp, settled
from agent.tui.widgets.lines import NoticeLine
from agent.tui.widgets.reply import ReplyView
from tests.agent.tui.fake_runtime import FakeRuntime


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `condition` gives once it is true; AssertionError when that takes too long."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (LookupError, NoMatches):
            found = None
        if found:
            return found
        assert time.monotonic() < end, f"still not true after {seconds:g} s"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running(runtime: FakeRuntime, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[None]]:
    """An app over `runtime` whose model is loaded."""
    app = AttuneApp(runtime)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        if runtime.may_warm.is_set():
            await settled(app, 60.0)
        else:
            await until(lambda: app.chat.prompt.has_focus)
        yield pilot


def laid_out(screen: Widget) -> bool:
    """Whether the columns of every table in `screen` are as wide as what is in them.

    A table measures new rows when it has nothing else to do.
    """
    return all(
        column.content_width >= max((cell_len(str(cell)) for cell in table.get_column(key)), default=0)
        for table in screen.query(DataTable)
        for key, column in table.columns.items()
    )


async def say(pilot: Pilot[None], text: str) -> None:
    """Write `text` in the prompt, send it, and wait for the reply."""
    app: AttuneApp = pilot.app  # type: ignore[assignment]
    before = app.chat.transcript.newest
    app.chat.prompt.put(text)
    await pilot.press("enter")
    await until(lambda: app.chat.transcript.newest not in (None, before) and app.chat.speaking is None)


def talked(runtime: FakeRuntime, *texts: str) -> str:
    """A conversation that is in the journal already; returns its id."""
    conversation, head = None, None
    for text in texts or ("What is tea?",):
        for event in runtime.loop.turn(text, conversation, head):
            message = getattr(event, "message", None)
            if message is not None:
                conversation, head = message.conversation_id, message.id
    assert conversation is not None
    return conversation


def words(widget: Widget) -> str:
    """All text of the Statics in and under `widget` that are shown."""
    parts = [widget] if isinstance(widget, Static) else []
    parts += [part for part in widget.query(Static) if part.display]
    return "\n".join(str(part.render()) for part in parts)


def picture(app: App[Any]) -> str:
    """What stands on the terminal, row by row."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def notices(app: AttuneApp) -> str:
    return "\n".join(str(line.render()) for line in app.chat.transcript.query(NoticeLine))


def beside(pilot: Pilot[None]) -> bool:
    """Whether something that was asked of a message is still being done."""
    return any(one.group == "feedback" and not one.is_finished for one in pilot.app.workers)


async def shown(pilot: Pilot[None], screen: type, *press: str) -> None:
    await pilot.press(*press)
    await until(lambda: isinstance(pilot.app.screen, screen))


def chat_of(pilot: Pilot[None]):
    app = pilot.app
    assert isinstance(app, AttuneApp)
    return app.chat


def rating(runtime: FakeRuntime, view: ReplyView) -> int:
    found = runtime.journal.effective(view.message.id)
    return found.value if found else 0
