"""What the person said."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message as Event
from textual.widgets import Static

from agent.tui import keys
from agent.tui.plain import clean
from memory.records import Message

SHOWN = 4000  # characters of one's own message that are laid out; a pasted megabyte would stall the screen


class Asked(Event):
    """The person wants something done with a message on the screen.

    what: edit, copy, regenerate, pick, why, bad_why, leave, or (with `amount`) step, move, rate.
    """

    def __init__(self, view: Vertical, what: str, amount: int = 0) -> None:
        super().__init__()
        self.view = view
        self.what = what
        self.amount = amount


class UserTurn(Vertical, can_focus=True):
    """A user message; `waiting` while it has not reached the journal."""

    BINDINGS = keys.TURN

    def __init__(self, text: str, message: Message | None = None, place: tuple[int, int] = (1, 1)) -> None:
        super().__init__(classes="turn")
        self.text = text
        self.message = message
        self.place = place

    def compose(self) -> ComposeResult:
        shown = clean(self.text)
        if len(shown) > SHOWN:
            shown = f"{shown[:SHOWN]}\n\u2026 {len(shown) - SHOWN:,} more characters"
        yield Static(shown, markup=False, classes="said")
        yield Static("", markup=False, classes="place")

    def on_mount(self) -> None:
        self.settle(self.message, self.place)

    def settle(self, message: Message | None, place: tuple[int, int]) -> None:
        """Tie the view to its journalled message and say which of its siblings it is."""
        self.message, self.place = message, place
        line = self.query_one(".place", Static)
        if message is None:
            line.update("waiting for the model\u2026")
        else:
            line.update(f"\u25c2 {place[0]}/{place[1]} \u25b8")
        line.display = message is None or place[1] > 1

    def action_ask(self, what: str) -> None:
        self.post_message(Asked(self, what))

    def action_step(self, amount: int) -> None:
        self.post_message(Asked(self, "step", amount))

    def action_move(self, amount: int) -> None:
        self.post_message(Asked(self, "move", amount))
