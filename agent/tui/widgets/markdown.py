"""A reply's text while it grows: Markdown as far as it is settled, an open block as plain text.

Measured with Textual 8.2.8: an update per token costs twenty times what batches cost; an open fence that
is highlighted again and again costs more than all the rest; and a list, a quotation or a table that has
grown is taken off the screen and mounted anew, item by item. Hence batches, and plain text for these
blocks until they end.
"""

from __future__ import annotations

import functools
import re

from markdown_it import MarkdownIt
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownStream

from agent.tui.plain import clean

FENCE = re.compile(r"^ {0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$")
GROUP = re.compile(r"^ {0,3}(?:(?:[-*+]|\d{1,9}[.)])(?:[ \t\n]|$)|>|\|)")  # a list, a quotation, a table
OPEN_LINES = 40  # of an open block, the newest; the whole of it is shown once it is closed


@functools.cache
def parser() -> MarkdownIt:
    """One parser for all replies: making one anew for each batch costs more than the parsing.

    Textual draws no HTML, so it is read as text: `<div>` and `vector<int>` would vanish from a reply.
    """
    return MarkdownIt("gfm-like", {"html": False})


def split_open(text: str) -> tuple[str, str]:
    """`text` as (settled, open): `open` is a fence, list, quotation or table at the end that may yet grow.

    A last line that may still become a fence ("`" or "``") counts as open, so that it never flickers.
    """
    fence, group = "", -1  # the mark of the fence, and where the group begins, that we are in
    start, position, blank = 0, 0, True
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line.rstrip("\n"))
        if fence:
            if found and found["mark"].startswith(fence) and not found["info"].strip():
                fence = "" if line.endswith("\n") else fence
        elif found:
            fence, start = found["mark"], position
            if not line.startswith(" "):
                group = -1
        elif group < 0 and GROUP.match(line):
            group = position
        elif group >= 0 and blank and line.strip() and not line.startswith(" ") and not GROUP.match(line):
            group = -1
        blank = not line.strip()
        position += len(line)
    if group >= 0 or fence:
        cut = group if group >= 0 else start
        return text[:cut], text[cut:]
    last = text.rpartition("\n")[2]
    if last.strip() and not last.strip().strip("`~"):
        return text[: len(text) - len(last)], last
    return text, ""


class ReplyText(Vertical):
    """Markdown that is given once, or streamed with `grow` and ended with `finish`."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._text = clean(text)
        self._given = 0  # characters of _text that the Markdown widget has
        self._stream: MarkdownStream | None = None

    def compose(self) -> ComposeResult:
        yield Markdown(self._text, parser_factory=parser, open_links=False)
        growing = Static("", markup=False, classes="open")
        growing.display = False
        yield growing
        self._given = len(self._text)

    @property
    def text(self) -> str:
        return self._text

    async def grow(self, piece: str) -> None:
        """Add a batch of text. Call it some 10 times a second, not once a token."""
        self._text += clean(piece)
        settled, _ = split_open(self._text)
        if len(settled) > self._given:
            if self._stream is None:
                self._stream = Markdown.get_stream(self.query_one(Markdown))
            new, self._given = settled[self._given :], len(settled)
            await self._stream.write(new)
        self._show_open(self._text[self._given :])

    async def finish(self, text: str | None = None) -> None:
        """End the stream; show `text` (the reply as it was recorded) if it differs from what came."""
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None
        whole = self._text if text is None else clean(text)
        if self._given != len(whole) or whole != self._text:
            self._text, self._given = whole, len(whole)
            await self.query_one(Markdown).update(whole)
        self._show_open("")

    def _show_open(self, text: str) -> None:
        shown = self.query_one(".open", Static)
        code = text.lstrip(" ").startswith(("`", "~"))
        lines = text.splitlines()[1 if code else 0 :]
        if len(lines) > OPEN_LINES:
            lines = [f"\u2026 {len(lines) - OPEN_LINES} lines above", *lines[-OPEN_LINES:]]
        if not lines and not shown.display:
            return
        shown.display = bool(lines)
        shown.set_class(code, "-code")
        shown.set_class(self._given > 0, "-below")
        shown.update("\n".join(lines))
