"""Two replies to choose between. Nothing on it says which adapter made which."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.events import Click
from textual.message import Message as Event
from textual.widgets import Static

from agent.tui import keys
from agent.tui.widgets.markdown import ReplyText
from agent.tui.widgets.turn import Asked
from memory.records import Message

QUESTION = "Two replies: which is better? Esc comes here; or just write on."


class Choose(Event):
    """The person has answered. choice: one of memory.comparisons.Choice, or empty to leave it open."""

    def __init__(self, view: PairView, choice: str) -> None:
        super().__init__()
        self.view = view
        self.choice = choice


class ChoiceMark(Static):
    """A word that answers when it is clicked."""

    def __init__(self, text: str, choice: str) -> None:
        super().__init__(text, markup=False, classes="mark")
        self._choice = choice

    def on_click(self, event: Click) -> None:
        event.stop()
        pair = next(node for node in self.ancestors if isinstance(node, PairView))
        pair.action_choose(self._choice)


class PairView(Vertical, can_focus=True):
    """Side by side where there is room, one above the other in a narrow terminal; answered once."""

    BINDINGS = keys.PAIR

    def __init__(self, first: Message, second: Message) -> None:
        super().__init__(classes="pair")
        self.first = first
        self.second = second
        self._answered = False

    def compose(self) -> ComposeResult:
        yield Static(QUESTION, markup=False, classes="question")
        with Container(classes="two"):
            for number, message in ((1, self.first), (2, self.second)):
                with Vertical(classes="reply one"):
                    yield ChoiceMark(f"{number} picks this one", "first" if number == 1 else "second")
                    yield ReplyText(message.content)
        with Horizontal(classes="marks"):
            yield ChoiceMark("= alike", "alike")
            yield ChoiceMark("x both bad", "both bad")
            yield ChoiceMark("s leaves it", "")

    def action_choose(self, choice: str) -> None:
        if not self._answered:
            self._answered = True
            self.post_message(Choose(self, choice))

    def open_again(self) -> None:
        """The answer could not be kept."""
        self._answered = False

    def action_ask(self, what: str) -> None:
        self.post_message(Asked(self, what))

    def action_move(self, amount: int) -> None:
        self.post_message(Asked(self, "move", amount))
