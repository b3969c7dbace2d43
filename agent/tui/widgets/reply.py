"""A reply: its text, the marks that rate it, and what a rating taught."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Click
from textual.widgets import Static

from agent.documents import sources_line
from agent.tui import keys
from agent.tui.plain import clean, one_line
from agent.tui.widgets.markdown import ReplyText
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
        rating: Feedback | None = None,
        place: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__(classes="reply")
        self.message = message
        self.generation = generation
        self.rating = rating
        self.place = place
        self.body = ReplyText(message.content if message else "")

    def compose(self) -> ComposeResult:
        yield self.body
        yield Static("", markup=False, classes="sources")
        with Horizontal(classes="marks"):
            yield Mark("", "rate", 1, "good")
            yield Mark("", "rate", -1, "bad")
            yield Mark("u undo", "rate", 0, "undo")
            yield Static("", markup=False, classes="place sibling")
            yield Mark("\u2190", "step", -1, "sibling")
            yield Mark("\u2192", "step", 1, "sibling")
            yield Mark("p picks this one", "pick", 0, "sibling pick")
            yield Mark("r again", "regenerate")
            yield Mark("w why", "why")
            yield Static("", markup=False, classes="made")
        yield Static("", markup=False, classes="learned")

    def on_mount(self) -> None:
        self.query_one(".learned").display = False
        self._draw()

    @property
    def reply_id(self) -> str | None:
        return self.message.id if self.message else None

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

    def rated(self, rating: Feedback | None, learned: str = "") -> None:
        """Show `rating` (None: none holds) and what it taught."""
        self.rating = rating
        if not self.is_attached:
            return  # taken off the screen while the rating was written
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
        value = self.rating.value if self.rating else 0
        why = f": {one_line(self.rating.why, 30)}" if self.rating and self.rating.why else ""
        good, bad = self.query_one(".good", Mark), self.query_one(".bad", Mark)
        good.update("\u25cf rated good" + why if value > 0 else "+ good")
        bad.update("\u25cf rated bad" + why if value < 0 else "- bad")
        good.set_class(value > 0, "-chosen")
        bad.set_class(value < 0, "-chosen")
        good.display, bad.display = value >= 0, value <= 0
        self.query_one(".undo").display = value != 0
        for part in self.query(".sibling"):
            part.display = self.place[1] > 1
        self.query_one(".place", Static).update(f"{self.place[0]}/{self.place[1]}")
        self.query_one(".made", Static).update(self._made())

    def _made(self) -> str:
        made = self.generation
        if made is None:
            return ""
        cut = {"cancelled": "stopped", "length": "cut at the limit", "error": "broke off"}
        ended = f"{cut[made.finish_reason]} \u00b7 " if made.finish_reason in cut else ""
        return f"{ended}{made.adapter or 'base'} \u00b7 {made.total_ms / 1000:.1f} s"

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
