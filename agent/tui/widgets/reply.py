"""A reply: its text, the marks that rate it, and what a rating taught."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.events import Click
from textual.widgets import Static

from agent.documents import sources_line
from agent.tui import keys
from agent.tui.plain import clean
from agent.tui.verdict import NONE, Verdict
from agent.tui.widgets.markdown import ReplyText
from agent.tui.widgets.marks import AGAIN, WHY, words
from agent.tui.widgets.turn import Asked
from memory.records import Feedback, Generation, Message


class Mark(Static):
    """A word that does something when it is clicked. It says its state in text, not in colour."""

    def __init__(self, text: str, what: str, amount: int = 0, classes: str = "") -> None:
        super().__init__(text, markup=False, classes=f"mark {classes}")
        self._what, self._amount = what, amount

    def on_click(self, event: Click) -> None:
        event.stop()
        reply = next(node for node in self.ancestors if isinstance(node, ReplyView))
        reply.post_message(Asked(reply, self._what, self._amount))


class ReplyView(Vertical, can_focus=True):
    """One assistant message. Streams with `grow`, ends with `settle`; only a settled reply can be rated."""

    BINDINGS = keys.REPLY

    def __init__(
        self,
        message: Message | None = None,
        generation: Generation | None = None,
        verdict: Verdict = NONE,
        place: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__(classes="reply")
        self.message = message
        self.generation = generation
        self.verdict = verdict
        self.place = place
        self._width = 0  # for which the marks are drawn; 0 before it is known
        self.body = ReplyText(message.content if message else "")

    def compose(self) -> ComposeResult:
        yield self.body
        yield Static("", markup=False, classes="sources")
        with Container(classes="marks"):
            with Horizontal(classes="thumbs"):
                yield Mark("", "rate", 1, "good")
                yield Mark("", "rate", -1, "bad")
                yield Mark("", "rate", 0, "undo")
                yield Mark("", "edit", 0, "version")
            with Horizontal(classes="others"):
                yield Static("", markup=False, classes="place sibling")
                yield Mark("", "step", -1, "sibling before")
                yield Mark("", "step", 1, "sibling after")
                yield Mark("", "pick", 0, "sibling pick")
                yield Mark(AGAIN, "regenerate")
                yield Mark(WHY, "why")
                yield Static("", markup=False, classes="made")
        yield Static("", markup=False, classes="learned")

    def on_mount(self) -> None:
        self.query_one(".learned").display = False
        self._draw()

    def on_resize(self) -> None:
        if self.size.width != self._width:  # it also comes whenever the text grows
            self._width = self.size.width
            self._draw()

    @property
    def reply_id(self) -> str | None:
        return self.message.id if self.message else None

    @property
    def rating(self) -> Feedback | None:
        """The thumb that holds."""
        return self.verdict.thumb

    @property
    def text(self) -> str:
        """As it is on the screen."""
        return self.body.text

    @property
    def written(self) -> str:
        """As it was recorded: without the signs that stand for unsafe characters on the screen."""
        return self.message.content if self.message else self.text

    async def grow(self, piece: str) -> None:
        await self.body.grow(piece)

    async def settle(
        self, message: Message | None, generation: Generation | None, place: tuple[int, int]
    ) -> None:
        """The reply is in the journal: show its recorded text and its marks."""
        self.message, self.generation, self.place = message, generation, place
        await self.body.finish(message.content if message else None)
        self._draw()

    def rated(self, verdict: Verdict, learned: str = "") -> None:
        """Show what holds, and what the newest of it taught."""
        self.verdict = verdict
        if not self.is_attached:
            return  # taken off the screen while it was written
        line = self.query_one(".learned", Static)
        line.update(f"\u21b3 {clean(learned)}")
        line.display = bool(learned)
        self._draw()

    def _draw(self) -> None:
        cited = clean(sources_line(self.generation.passages)) if self.generation else ""
        self.query_one(".sources", Static).update(cited)
        self.query_one(".sources").display = bool(cited)
        marks = self.query_one(".marks")
        marks.display = self.message is not None
        if self.message is None:
            return
        said = words(self.verdict, self.place, self.generation, self._width)
        for name in ("good", "bad", "undo", "version", "place", "before", "after", "pick", "made"):
            part, word = marks.query_one(f".{name}", Static), getattr(said, name)
            part.update(word)
            part.display = bool(word)
        value = self.rating.value if self.rating else 0
        marks.query_one(".good").set_class(value > 0, "-chosen")
        marks.query_one(".bad").set_class(value < 0, "-chosen")
        marks.query_one(".pick").set_class(self.verdict.picked, "-chosen")
        marks.set_class(said.rows > 1, "-two")

    def action_rate(self, value: int) -> None:
        self.post_message(Asked(self, "rate", value))

    def action_bad_why(self) -> None:
        self.post_message(Asked(self, "bad_why"))

    def action_ask(self, what: str) -> None:
        self.post_message(Asked(self, what))

    def action_step(self, amount: int) -> None:
        self.post_message(Asked(self, "step", amount))

    def action_move(self, amount: int) -> None:
        self.post_message(Asked(self, "move", amount))
