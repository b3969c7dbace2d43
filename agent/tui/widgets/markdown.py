"""A reply's text while it grows: Markdown as far as it is settled, an open code fence as plain text.

Measured with Textual 8.2.8: an update per token costs twenty times what batches at 15 Hz cost, and an
open fence that is highlighted again and again costs more than all the rest. Hence both rules.
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
OPEN_LINES = 40  # of an open fence, the newest; the whole of it is shown once it is closed


@functools.cache
def parser() -> MarkdownIt:
    """One parser for all replies: making one anew for each batch costs more than the parsing."""
    return MarkdownIt("gfm-like")


def split_open_fence(text: str) -> tuple[str, str]:
    """`text` as (settled, open): `open` starts at a code fence that has no end yet, else it is empty.

    A last line that may still become a fence ("`" or "``") counts as open, so that it never flickers.
    """
    mark, start, position = "", 0, 0
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line.rstrip("\n"))
        if found and not mark:
            mark, start = found["mark"], position
        elif found and found["mark"].startswith(mark) and not found["info"].strip() and line.endswith("\n"):
            mark = ""
        position += len(line)
    if mark:
        return text[:start], text[start:]
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
        code = Static("", markup=False, classes="open-code")
        code.display = False
        yield code
        self._given = len(self._text)

    @property
    def text(self) -> str:
        return self._text

    async def grow(self, piece: str) -> None:
        """Add a batch of text. Call it some 15 times a second, not once a token."""
        self._text += clean(piece)
        settled, growing = split_open_fence(self._text)
        if len(settled) > self._given:
            if self._stream is None:
                self._stream = Markdown.get_stream(self.query_one(Markdown))
            new, self._given = settled[self._given :], len(settled)
            await self._stream.write(new)
        self._show_open(growing)

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

    def _show_open(self, code: str) -> None:
        shown = self.query_one(".open-code", Static)
        lines = code.splitlines()[1:]
        if len(lines) > OPEN_LINES:
            lines = [f"\u2026 {len(lines) - OPEN_LINES} lines above", *lines[-OPEN_LINES:]]
        shown.display = bool(lines)
        shown.update("\n".join(lines))
