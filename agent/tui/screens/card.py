"""The preference card: every line with its evidence; the person may pin, strike, or add one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import on, work
from textual.events import Resize
from textual.widgets import Input, OptionList

from agent.tui import keys
from agent.tui.plain import bar, clean, cut, one_line
from agent.tui.screens.dialogs import Confirm, TextDialog
from agent.tui.screens.lists import ListScreen
from memory.records import CardLine
from memory.taste.preferences import OWN

if TYPE_CHECKING:
    from agent.runtime import Runtime

SIGN = {"pinned": "pinned", "struck": "struck", "auto": ""}
TEXT = 36  # cells of a line's text where there is room for them
WHOLE = 68  # cells of a row with that and a bar
BESIDE = 5  # cells of the screen's width that no row has: margin, padding, scroll bar


def row(line: CardLine, width: int) -> str:
    """One line of the list in `width` cells; without a bar and with less of the text where it is narrow."""
    mark = "\u25cf on " if line.active else "\u25cb off"
    sure = f"{line.probability:4.0%}"
    if width >= WHOLE:
        sure = f"{bar(line.probability)} {sure}"
    end = f"  {sure}  {SIGN[line.state]:<6}"
    text = cut(line.text, room(width))
    return f"{mark}  {text}{' ' * (room(width) - cell_len(text))}{end}".rstrip()


def room(width: int) -> int:
    """Cells for the text of a line in a row of `width` cells."""
    return TEXT if width >= WHOLE else max(min(TEXT, width - 21), 1)


class CardScreen(ListScreen):
    BINDINGS = keys.CARD
    HEADING = "Card  what it believes about your taste, and tells the model"
    HINT = "p pin \u00b7 s strike \u00b7 x unpin or delete \u00b7 e reword \u00b7 a add \u00b7 Esc back"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self._lines: dict[str, CardLine] = {}
        self._width = 0  # for which the rows are written

    async def on_mount(self) -> None:
        self.query_one(Input).display = False
        self._width = self.size.width
        await super().on_mount()

    def on_resize(self, event: Resize) -> None:
        if event.size.width != self._width:
            self._width = event.size.width
            self.look()

    async def find(self, search: str) -> list[tuple[str, str]]:
        lines = await asyncio.to_thread(self.runtime.card.lines)
        lines = sorted(lines, key=lambda line: (not line.active, -line.probability))
        self._lines = {line.feature: line for line in lines}
        return [(line.feature, row(line, self._row_width)) for line in lines]

    @property
    def _row_width(self) -> int:
        return self.size.width - BESIDE

    async def detail(self, entry_id: str) -> str:
        """The evidence, below the whole line if its row does not hold it."""
        line = self._lines.get(entry_id)
        if line is None:
            return ""
        whole = clean(line.text) if cell_len(line.text) > room(self._row_width) else ""
        return "\n".join(part for part in (whole, clean(line.summary)) if part)

    @on(OptionList.OptionSelected)
    async def _selected(self) -> None:
        await self.action_pin()

    async def action_pin(self) -> None:
        if self.chosen:
            await self.do(self.runtime.card.pin, self.chosen)

    async def action_strike(self) -> None:
        if self.chosen:
            await self.do(self.runtime.card.strike, self.chosen)

    @work(exit_on_error=False)
    async def action_reset(self) -> None:
        line = self._lines.get(self.chosen or "")
        if line is None:
            return
        if not line.feature.startswith(OWN):
            await self.do(self.runtime.card.reset, line.feature)
            return
        question = f"Delete this line of yours for good?\n{one_line(line.text, 120)}"
        sure = await self.app.push_screen_wait(Confirm(question, "Delete", "Keep"))
        if sure and await self.do(self._delete, line.feature):
            self.app.notify(f"Your line is deleted: {one_line(line.text, 120)}", markup=False)

    def _delete(self, feature: str) -> bool:
        self.runtime.card.reset(feature)
        return True

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
