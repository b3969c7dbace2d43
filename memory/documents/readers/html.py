"""HTML: its text with headings, lists and code blocks as in Markdown. Places are lines of the file."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from memory.documents.readers.plain import decode
from memory.documents.records import Parsed

SILENT = frozenset(["script", "style", "noscript", "template", "svg", "iframe", "object", "head"])
BLOCK_TAGS = """
    address article aside blockquote body br dd details div dl dt figcaption figure footer form h1 h2 h3
    h4 h5 h6 header hr html li main nav ol p pre section summary table tbody td tfoot th thead title tr
    ul
"""
BLOCKS = frozenset(BLOCK_TAGS.split())
# For the end of each tag that never ends the parser goes through all that follows; after so many the rest is
# taken for text.
MOST_UNENDED = 20
CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)


def read(data: bytes) -> Parsed:
    declared = CHARSET.search(data[:4096])
    return read_text(decode(data, declared.group(1).decode() if declared else None))


def read_text(markup: str) -> Parsed:
    """The same from a string; mails use it."""
    text = _Text()
    text.feed(markup)
    unended = 0
    while text.rawdata.startswith("<") and not text.cdata_elem:
        # The parser waits for an end that never comes: its "<" is text.
        unended += 1
        rest, text.rawdata = text.rawdata, ""
        text.feed(rest.replace("<", "&lt;", -1 if unended > MOST_UNENDED else 1))
    text.close()
    return text.parsed()


class _Text(HTMLParser):
    """Collects lines, each with the line of the source on which it began."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[tuple[str, int]] = []
        self._now: list[str] = []
        self._began = 1
        self._silent = 0
        self._preformatted = 0
        self._title: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._break()
            self._title = []
        elif tag in SILENT and tag != "head":
            self._silent += 1
        if tag not in BLOCKS:
            return
        if tag in ("td", "th") and self._now:
            self._now.append(" | ")
            return
        self._break()
        if tag == "pre":
            self._lines.append(("```", self.getpos()[0]))
            self._preformatted += 1
        elif tag == "li":
            self._start("- ")
        elif len(tag) == 2 and tag[1].isdigit():
            self._start("#" * int(tag[1]) + " ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title" and self._title is not None:
            title = " ".join("".join(self._title).split())
            self._title = None
            if title:
                self._lines.insert(0, (f"# {title}", self.getpos()[0]))
        elif tag in SILENT and tag != "head":
            self._silent = max(0, self._silent - 1)
        if tag == "pre" and self._preformatted:
            self._break()
            self._preformatted -= 1
            self._lines.append(("```", self.getpos()[0]))
        elif tag in BLOCKS and tag not in ("td", "th"):
            self._break()

    def handle_data(self, data: str) -> None:
        if self._title is not None:
            self._title.append(data)
        elif self._silent:
            return
        elif self._preformatted:
            first = self.getpos()[0]
            for number, line in enumerate(data.split("\n")):
                if number:
                    self._break(keep=True)
                self._start(line, first + number)
        elif data.strip():
            self._start(re.sub(r"\s+", " ", data))
        elif self._now and not self._now[-1].endswith(" "):
            self._now.append(" ")

    def parsed(self) -> Parsed:
        self._break()
        parts: list[str] = []
        marks: list[tuple[int, int]] = []
        at = 0
        code = False
        for line, number in self._lines:
            # A line breaks a paragraph where no code is: the source's own breaks were folded before.
            line = line if code else line.strip()
            code = code != (line == "```")
            if line.strip() or code:
                marks.append((at, number))
                parts.append(line + ("\n" if code else "\n\n"))
                at += len(parts[-1])
        return Parsed("".join(parts), "line", tuple(marks))

    def _start(self, piece: str, line: int | None = None) -> None:
        if not self._now:
            self._began = line or self.getpos()[0]
        self._now.append(piece)

    def _break(self, keep: bool = False) -> None:
        line = "".join(self._now)
        self._now = []
        if line.strip() or (keep and self._preformatted):
            self._lines.append((line, self._began))
