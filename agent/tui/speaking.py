"""Draws the events of one turn into the transcript, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual.widget import Widget

from agent.events import (
    BlindReplies,
    BlindStarted,
    Event,
    Notice,
    RecallDone,
    ReplyDone,
    ReplyKept,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnStarted,
)
from agent.tui.siblings import place
from agent.tui.widgets.lines import NoticeLine, ToolLine
from agent.tui.widgets.pair import PairView
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.transcript import Transcript
from agent.tui.widgets.turn import UserTurn
from memory.journal import Journal
from memory.records import Message

SPOKEN = "The reply is still being spoken."


class Speaking:
    """One turn on the screen. `conversation_id` and `head_id` grow known as the turn is journalled."""

    def __init__(self, transcript: Transcript, journal: Journal, turn: UserTurn | None = None) -> None:
        self.transcript = transcript
        self.journal = journal
        self.turn = turn
        self.conversation_id: str | None = None
        self.head_id: str | None = None
        self.failed = ""  # the sentence of a TurnFailed
        self._view: ReplyView | None = None
        self._tool: ToolLine | None = None
        self._writing: NoticeLine | None = None

    async def draw(self, events: Sequence[Event]) -> None:
        """Draw `events` in order; neighbouring pieces of text become one update."""
        text = ""
        for event in events:
            if isinstance(event, TextDelta):
                text += event.text
                continue
            await self._grow(text)
            text = ""
            await self._draw(event)
        await self._grow(text)

    async def _draw(self, event: Event) -> None:
        if not isinstance(event, Notice):
            await self._stop_writing()
        if isinstance(event, TurnStarted):
            self.conversation_id, self.head_id = event.message.conversation_id, event.message.id
            if self.turn is not None:
                self.turn.settle(event.message, await self._place(event.message))
        elif isinstance(event, Notice):
            await self._add(NoticeLine(event.text))
        elif isinstance(event, ToolStarted):
            await self._close()
            self._tool = ToolLine(event.name, event.arguments)
            await self._add(self._tool)
        elif isinstance(event, ToolFinished):
            if self._tool is None:
                self._tool = ToolLine(event.name, event.arguments)
                await self._add(self._tool)
            self._tool.show(event.result, event.ok)
            self._tool = None
        elif isinstance(event, ReplyDone | ReplyKept):
            await self._done(event)
        elif isinstance(event, BlindStarted):
            self._writing = NoticeLine("Writing two replies to choose between\u2026")
            await self._add(self._writing)
        elif isinstance(event, BlindReplies):
            self.conversation_id = event.first.conversation_id
            self.head_id = await asyncio.to_thread(self._head, self.conversation_id)
            await self._add(PairView(event.first, event.second))
        elif isinstance(event, TurnFailed):
            self.failed = event.text
            await self._close()
            await self._add(NoticeLine(event.text, "bad"))
        elif isinstance(event, RecallDone):
            pass  # shown under `w why`, from the journalled reply

    async def _add(self, widget: Widget) -> None:
        """Below this turn, and above what the person has sent since and what still waits."""
        turns = self.transcript.query(UserTurn)
        waiting = [turn for turn in turns if turn.message is None and turn is not self.turn]
        await self.transcript.add(widget, before=waiting[0] if waiting else None)

    async def _grow(self, text: str) -> None:
        if not text:
            return
        if self._view is None:
            if not text.strip():
                return
            await self._stop_writing()
            self._view = ReplyView()
            await self._add(self._view)
        await self._view.grow(text)

    async def _done(self, event: ReplyDone | ReplyKept) -> None:
        self.conversation_id, self.head_id = event.message.conversation_id, event.message.id
        if event.message.tool_calls and not event.message.content.strip():
            return  # a round of tools; its lines are on the screen already
        if self._view is None:
            self._view = ReplyView()
            await self._add(self._view)
        await self._view.settle(event.message, event.generation, await self._place(event.message))
        self._view = None

    async def _stop_writing(self) -> None:
        if self._writing is not None:
            await self._writing.remove()
            self._writing = None

    def _head(self, conversation_id: str) -> str | None:
        return self.journal.conversation(conversation_id).head_id

    async def _place(self, message: Message) -> tuple[int, int]:
        """In a thread: it reads the tree, and a screen that waits for a disk takes no keys."""
        return await asyncio.to_thread(place, self.journal, message)

    async def _close(self) -> None:
        if self._view is not None:
            await self._view.settle(None, None, (1, 1))
            self._view = None

    async def end(self) -> None:
        """The turn is over, however it went: nothing is left half drawn."""
        await self._stop_writing()
        await self._close()
        if self.turn is not None and self.turn.message is None:
            await self.turn.remove()
