"""The preference card: every line with its evidence; the person may pin, strike, or add one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on, work
from textual.widgets import Input, OptionList

from agent.tui import keys
from agent.tui.plain import bar, clean, one_line
from agent.tui.screens.dialogs import TextDialog
from agent.tui.screens.lists import ListScreen
from memory.records import CardLine

if TYPE_CHECKING:
    from agent.runtime import Runtime

SIGN = {"pinned": "pinned", "struck": "struck", "auto": ""}


class CardScreen(ListScreen):
    BINDINGS = keys.CARD
    HEADING = "Card  what it believes about your taste, and tells the model"
    HINT = "p pin \u00b7 s strike \u00b7 x unpin \u00b7 e reword \u00b7 a add \u00b7 Esc back"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self._lines: dict[str, CardLine] = {}

    async def on_mount(self) -> None:
        self.query_one(Input).display = False
        await super().on_mount()

    async def find(self, search: str) -> list[tuple[str, str]]:
        lines = await asyncio.to_thread(self.runtime.card.lines)
        lines = sorted(lines, key=lambda line: (not line.active, -line.probability))
        self._lines = {line.feature: line for line in lines}
        return [(line.feature, self._row(line)) for line in lines]

    @staticmethod
    def _row(line: CardLine) -> str:
        mark = "\u25cf on " if line.active else "\u25cb off"
        sure = f"{bar(line.probability)} {line.probability:4.0%}"
        return f"{mark}  {one_line(line.text, 36):<36}  {sure}  {SIGN[line.state]}"

    async def detail(self, entry_id: str) -> str:
        line = self._lines.get(entry_id)
        return clean(line.summary) if line and line.summary else ""

    @on(OptionList.OptionSelected)
    async def _selected(self) -> None:
        await self.action_pin()

    async def action_pin(self) -> None:
        if self.chosen:
            await self.do(self.runtime.card.pin, self.chosen)

    async def action_strike(self) -> None:
        if self.chosen:
            await self.do(self.runtime.card.strike, self.chosen)

    async def action_reset(self) -> None:
        if self.chosen:
            await self.do(self.runtime.card.reset, self.chosen)

    @work(exit_on_error=False)
    async def action_add(self) -> None:
        text = await self.app.push_screen_wait(
            TextDialog("A line for the card, such as: Answer in French.", short=True)
        )
        if text:
            await self.do(self.runtime.card.add, text)

    @work(exit_on_error=False)
    async def action_edit(self) -> None:
        line = self._lines.get(self.chosen or "")
        if line is None:
            return
        text = await self.app.push_screen_wait(TextDialog("This line in your words", line.text, short=True))
        if text and text != line.text:
            await self.do(self.runtime.card.edit, line.feature, text)

    def action_back(self) -> None:
        self.dismiss(None)
