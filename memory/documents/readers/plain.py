"""Text, Markdown and source code: the file as it is."""

from __future__ import annotations

import codecs
import re

from memory.documents.records import Parsed, Unreadable
from memory.text import as_written

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HEADING = re.compile(r"^( {0,3})(#{1,5})(?=\s|$)")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
# Of the first characters of a text, at most this share cannot be printed.
MOST_UNPRINTABLE = 0.02


def read(data: bytes) -> Parsed:
    return Parsed(decode(data))


def read_code(data: bytes) -> Parsed:
    return Parsed(decode(data), code=True)


def has_mark(data: bytes) -> bool:
    """Whether it begins with a byte order mark, so that NUL bytes do not mean that it is no text."""
    return data.startswith(tuple(mark for mark, _ in MARKS))


def decode(data: bytes, charset: str | None = None) -> str:
    """The text of `data`: by its byte order mark, by `charset`, as UTF-8, else as Windows-1252.

    Line ends become newlines, form feeds spaces: editors do not count them as lines. Raises Unreadable when
    it is no text.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _clean(data.decode(encoding, errors="replace"))
    for name in (charset, "utf-8"):
        try:
            if name and codecs.lookup(name).name == "iso8859-1":
                break  # who says Latin-1 means Windows-1252, which has quotes and the euro besides
            if name:
                return _clean(data.decode(name))
        except (ValueError, LookupError):
            continue
    return _clean(data.decode("cp1252", errors="replace"))


def lowered(text: str) -> str:
    """Markdown as it stands below a heading: its own headings one level lower, its code as it is."""
    lines, fence = [], ""
    for line in text.split("\n"):
        marks = FENCE.match(line)
        if marks and not fence:
            fence = marks.group(1)
        elif marks and marks.group(1).startswith(fence):
            fence = ""
        elif not fence:
            line = HEADING.sub(r"\1#\2", line)
        lines.append(line)
    return "\n".join(lines)


def _clean(text: str) -> str:
    cleaned = as_written(text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " "))
    if cleaned[:10_000].count("\ufffd") > MOST_UNPRINTABLE * min(len(cleaned), 10_000):
        raise Unreadable("it is no text")
    return cleaned
