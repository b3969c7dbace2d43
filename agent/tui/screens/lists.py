"""What the list screens share: a heading, a search line, a list, and a line of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from agent.tui.edge import caught

T = TypeVar("T")


class ListScreen(Screen[Any]):
    """A searchable list. Subclasses say what is in it (`find`) and what a chosen entry means."""

    HEADING = ""
    SEARCH = "Search"
    EMPTY = "Nothing here yet."
    HINT = ""

    def compose(self) -> ComposeResult:
        yield Static(self.HEADING, markup=False, classes="heading")
        search = Input(placeholder=f"/ {self.SEARCH}", id="search")
        search.cursor_blink = False
        yield search
        yield OptionList(id="list", markup=False)
        yield Static("", markup=False, id="detail")
        yield Static(self.HINT, markup=False, classes="hint")

    AUTO_FOCUS = "#list"

    async def on_mount(self) -> None:
        self.look()

    async def find(self, search: str) -> list[tuple[str, str]]:
        """(id, text) of the entries that fit."""
        raise NotImplementedError

    async def detail(self, entry_id: str) -> str:
        """A few words on the highlighted entry."""
        return ""

    async def fill(self) -> None:
        """Look again, keeping the place in the list."""
        if not self.is_mounted:
            return
        found = await self.caught(self.find(self.query_one(Input).value)) or []
        if not self.is_attached:  # the person has left meanwhile
            return
        shown = self.query_one(OptionList)
        place = shown.highlighted or 0
        shown.clear_options()
        if found:
            shown.add_options([Option(text, id=entry) for entry, text in found])
            shown.highlighted = min(place, len(found) - 1)
        else:
            shown.add_option(Option(self.EMPTY, disabled=True))
            self.query_one("#detail", Static).update("")

    def look(self) -> None:
        self.run_worker(self.fill, group="fill", exclusive=True, exit_on_error=False)  # type: ignore[arg-type]

    @property
    def chosen(self) -> str | None:
        """The id of the highlighted entry."""
        shown = self.query_one(OptionList)
        if shown.highlighted is None or not shown.option_count:
            return None
        return shown.get_option_at_index(shown.highlighted).id

    async def caught(self, doing: Awaitable[T]) -> T | None:
        """What `doing` gives, or None after one sentence about what went wrong."""
        return await caught(
            doing,
            lambda text: self.app.notify(text, severity="error", markup=False),
            type(self).__name__,
        )

    async def do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Run `act` in a thread, look again, and give what it gave (None when it failed)."""
        given = await self.caught(asyncio.to_thread(act, *arguments))
        await self.fill()
        return given

    @on(Input.Changed)
    def _typed(self) -> None:
        self.look()

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id:
            job = partial(self._tell, event.option.id)
            self.run_worker(job, group="detail", exclusive=True, exit_on_error=False)  # type: ignore[arg-type]

    async def _tell(self, entry_id: str) -> None:
        said = await self.caught(self.detail(entry_id))
        if self.is_attached:
            self.query_one("#detail", Static).update(said or "")

    def action_search(self) -> None:
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        """Esc leaves the search first, then the screen."""
        search = self.query_one(Input)
        if search.has_focus or search.value:
            search.value = ""
            self.query_one(OptionList).focus()
        else:
            self.dismiss(None)
