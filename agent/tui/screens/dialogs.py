"""Small questions: a text, or yes and no."""

from __future__ import annotations

import math
import time

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static, TextArea

from agent.tui import keys
from agent.tui.plain import clean, editable


class Area(TextArea):
    """Where the person writes; what is pasted is made safe first."""

    async def _on_key(self, event: events.Key) -> None:
        """The keys that save, in the order they were typed: see `Prompt._on_key`."""
        for binding in self.screen._bindings.key_to_bindings.get(event.key, ()):
            if binding.action == "save":
                event.stop()
                event.prevent_default()
                await self.screen.run_action(binding.action)
                return

    async def _on_paste(self, event: events.Paste) -> None:
        await super()._on_paste(events.Paste(editable(event.text)))
        event.stop()
        event.prevent_default()


class TextDialog(ModalScreen[str | None]):
    """Ask for a text; None when the person thinks better of it."""

    BINDINGS = keys.DIALOG

    def __init__(self, title: str, text: str = "", short: bool = False) -> None:
        super().__init__()
        self._title, self._short = title, short
        self._area = Area(editable(text), highlight_cursor_line=False, soft_wrap=True)
        self._area.cursor_blink = False
        if short:
            self._bindings.bind("enter", "save", show=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -short" if self._short else "dialog"):
            yield Static(clean(self._title), markup=False, classes="dialog-title")
            yield self._area
            saves = "Enter saves" if self._short else "Ctrl+S saves"
            yield Static(f"{saves} \u00b7 Esc leaves it as it is", markup=False, classes="hint")

    def on_mount(self) -> None:
        self._area.move_cursor(self._area.document.end)

    def action_save(self) -> None:
        if self.is_current:  # a second Enter may wait in the area's queue, and would take the screen below
            self.dismiss(self._area.text.strip() or None)

    def action_cancel(self) -> None:
        self.dismiss(None)


class Confirm(ModalScreen[bool]):
    """A question that is answered with yes or no; no is the default.

    One that nobody has called for takes no typing in its first `calm` seconds: it was meant for the prompt.
    """

    AUTO_FOCUS = "#no"

    BINDINGS = keys.CONFIRM

    def __init__(self, question: str, yes: str = "Yes", no: str = "No", calm: float = 0.0) -> None:
        super().__init__()
        self._question, self._yes, self._no, self._calm = question, yes, no, calm
        self.shown = math.inf  # since when it is on the screen

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -confirm"):
            yield Static(clean(self._question), markup=False, classes="dialog-title")
            with Horizontal(classes="buttons"):
                yield Button(f"{self._yes} (y)", id="yes")
                yield Button(f"{self._no} (n)", id="no")

    def on_mount(self) -> None:
        self.shown = time.monotonic()

    def too_soon(self, key: str) -> bool:
        """Whether `key` belongs to what the person was writing when the question came."""
        typing = key != "escape" and not key.startswith("ctrl+")
        return typing and self._calm > 0 and time.monotonic() - self.shown < self._calm

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_other(self) -> None:
        self.focus_next(Button)
