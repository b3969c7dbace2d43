"""The scrolling part of the chat: messages in order, the newest few of them mounted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.containers import Vertical, VerticalScroll
from textual.events import Click
from textual.message import Message as Event
from textual.widget import Widget
from textual.widgets import Static

from agent.tui import keys
from agent.tui.branches import Shown
from agent.tui.plain import clean, count
from agent.tui.widgets.lines import ToolLine
from agent.tui.widgets.pair import PairView
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.turn import UserTurn

WELCOME = """\
Attune

A personal agent that learns from your thumbs, on this machine.

Write below. Rate the newest reply with Ctrl+G (good) or Ctrl+B (bad),
or go to a reply with Esc and press + or -.
/ lists the commands, F1 all keys."""


class Earlier(Static, can_focus=True):
    """Stands for the messages above that are not mounted; Enter or a click brings them."""

    BINDINGS = keys.EARLIER

    class Wanted(Event):
        pass

    def __init__(self, hidden: int) -> None:
        super().__init__(f"\u2191 {count(hidden, 'earlier message')}: click or press Enter", markup=False)

    def on_click(self, event: Click) -> None:
        event.stop()
        self.action_more()

    def action_more(self) -> None:
        self.post_message(self.Wanted())


class Transcript(VerticalScroll, can_focus=False):
    """Follows the stream until the person scrolls up, and again when they are back at the end."""

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self.hidden = 0  # messages above the mounted ones

    def on_mount(self) -> None:
        self.anchor()

    async def welcome(self, last: str) -> None:
        """An empty conversation; `last` is the title of the one before, if any."""
        text = WELCOME
        if last:
            text += f"\n\nF4 opens earlier conversations, the last of them \u201c{clean(last)}\u201d."
        self.hidden = 0
        await self.remove_children()
        await self.mount(Static(text, markup=False, id="welcome"))

    async def show(self, views: Sequence[Shown], hidden: int) -> None:
        """Replace everything by `views`, with `hidden` messages before them."""
        widgets: list[Widget] = [Earlier(hidden)] if hidden else []
        calls: list[dict[str, Any]] = []
        self.hidden = hidden
        for view in views:
            message = view.message
            if message.role == "user":
                widgets.append(UserTurn(message.content, message, view.place))
            elif message.role == "tool":
                call = calls.pop(0) if calls else {}
                name = message.tool_name or call.get("name", "tool")
                widgets.append(ToolLine(name, call.get("arguments") or {}, message.content))
            else:
                calls = list(message.tool_calls)
                if message.content.strip() or not calls:
                    widgets.append(ReplyView(message, view.generation, view.verdict, view.place))
        async with self.batch():
            await self.remove_children()
            await self.mount_all(widgets)
        self.anchor()

    async def add(self, widget: Widget, before: Widget | None = None) -> None:
        """At the end, or above `before`."""
        await self.query("#welcome").remove()
        await self.mount(widget, before=before)

    async def cut_from(self, view: Widget, keep: bool = False) -> None:
        """Take `view` (kept when `keep`) and all below it off the screen."""
        children = list(self.children)
        start = children.index(view) + (1 if keep else 0)
        await self.remove_children(children[start:])

    async def trim(self, most: int) -> None:
        """Unmount the oldest messages above `most`, in whole turns."""
        messages = self.messages
        turns = [view for view in messages[-most:] if isinstance(view, UserTurn)]
        if len(messages) <= most or not turns:
            return
        children = list(self.children)
        gone = children[: children.index(turns[0])]
        self.hidden += sum(isinstance(child, UserTurn | ReplyView | ToolLine) for child in gone)
        await self.remove_children(gone)
        await self.mount(Earlier(self.hidden), before=0)

    @property
    def messages(self) -> list[UserTurn | ReplyView]:
        return [child for child in self.children if isinstance(child, UserTurn | ReplyView)]

    @property
    def replies(self) -> list[ReplyView]:
        """Replies that can be rated, oldest first."""
        return [view for view in self.children if isinstance(view, ReplyView) and view.message is not None]

    @property
    def newest(self) -> ReplyView | None:
        return self.replies[-1] if self.replies else None

    @property
    def pair(self) -> PairView | None:
        """The two replies that wait for a choice."""
        return next((child for child in self.children if isinstance(child, PairView)), None)

    def turn_of(self, view: Vertical) -> UserTurn | None:
        """The user message that `view` answers."""
        found = None
        for child in self.children:
            if isinstance(child, UserTurn):
                found = child
            if child is view:
                return found
        return None

    def move(self, view: Vertical, amount: int) -> bool:
        """Focus the message `amount` below `view`; False when there is none."""
        stops = [
            child for child in self.children if isinstance(child, UserTurn | ReplyView | PairView | Earlier)
        ]
        index = stops.index(view) + amount  # type: ignore[arg-type]
        if not 0 <= index < len(stops):
            return False
        stops[index].focus()
        return True
