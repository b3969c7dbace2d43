"""Text, Markdown and source code: the file as it is."""

from __future__ import annotations

import codecs

from memory.documents.records import Parsed, Unreadable
from memory.text import as_written

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
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

    Line ends become newlines. Raises Unreadable when it is no text.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _clean(data.decode(encoding, errors="replace"))
    for name in (charset, "utf-8"):
        try:
            if name:
                return _clean(data.decode(name))
        except (UnicodeDecodeError, LookupError):
            continue
    return _clean(data.decode("cp1252", errors="replace"))


def _clean(text: str) -> str:
    cleaned = as_written(text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))
    if cleaned[:10_000].count("\ufffd") > MOST_UNPRINTABLE * min(len(cleaned), 10_000):
        raise Unreadable("it is no text")
    return cleaned
