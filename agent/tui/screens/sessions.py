"""Earlier conversations: open, rename, delete. Dismisses with a conversation id, or "" for a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on, work
from textual.widgets import OptionList

from agent.tui import keys
from agent.tui.plain import count, one_line, when
from agent.tui.screens.dialogs import Confirm, TextDialog
from agent.tui.screens.lists import ListScreen
from memory.records import Conversation

if TYPE_CHECKING:
    from agent.runtime import Runtime


class SessionsScreen(ListScreen):
    BINDINGS = keys.SESSIONS
    HEADING = "Conversations"
    SEARCH = "search titles and what was said"
    EMPTY = "No conversation yet."
    HINT = "Enter open \u00b7 n new \u00b7 / search \u00b7 r rename \u00b7 d delete \u00b7 Esc back"

    def __init__(self, runtime: Runtime, open_id: Callable[[], str | None] = lambda: None) -> None:
        """`open_id` gives what the chat has open at the time: a turn that begins opens one."""
        super().__init__()
        self.runtime = runtime
        self._open_id = open_id
        self._known: dict[str, Conversation] = {}

    async def find(self, search: str) -> list[tuple[str, str]]:
        found = await asyncio.to_thread(self.runtime.journal.conversations, 200, search.strip())
        self._known = {conversation.id: conversation for conversation in found}
        return [(one.id, self._row(one)) for one in found]

    def _row(self, one: Conversation) -> str:
        sign = "\u203a" if one.id == self._open_id() else " "
        return f"{sign} {one_line(one.title or 'untitled', 70)}"

    async def detail(self, entry_id: str) -> str:
        one = self._known.get(entry_id)
        if one is None:
            return ""
        spoken = await asyncio.to_thread(self.runtime.journal.replies_of, one.id)
        replies = sum(not reply.tool_calls for reply in spoken)
        said = count(replies, "reply", "replies")
        return f"{said} \u00b7 last {when(one.updated_at)} \u00b7 begun {when(one.created_at)}"

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id:
            self.dismiss(event.option.id)

    def action_new(self) -> None:
        self.dismiss("")

    @work(exit_on_error=False)
    async def action_rename(self) -> None:
        one = self._known.get(self.chosen or "")
        if one is None:
            return
        title = await self.app.push_screen_wait(TextDialog("A title", one.title, short=True))
        if title:
            await self.do(self.runtime.journal.rename, one.id, title)

    @work(exit_on_error=False)
    async def action_delete(self) -> None:
        one = self._known.get(self.chosen or "")
        if one is None:
            return
        if one.id == self._open_id():
            self.app.notify("That conversation is open; start a new one first.", markup=False)
            return
        question = (
            f"Delete this conversation, its replies and their ratings for good?\n{one_line(one.title, 80)}"
        )
        if await self.app.push_screen_wait(Confirm(question, "Delete", "Keep")):
            await self.do(self.runtime.journal.delete_conversation, one.id)
