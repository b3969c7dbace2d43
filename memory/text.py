"""What may be stored as text. Two rules, used by everything that writes words into the database.

`as_written` keeps the person's words to the letter, bidirectional marks too (a face isolates them when it
draws), but control characters and lone surrogates become U+FFFD: NUL would cut the text short inside
SQLite, and escape sequences could drive the terminal that shows it.
`one_line` is for memories and card lines, which enter prompts and lists: also on a single line, and
without bidirectional controls, which could make a line read differently from what it says.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from memory.errors import BadText

MESSAGE_LIMIT = 4_000_000
LINE_LIMIT = 2_000
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c]")
NOTHING = re.compile("[\\s\u200b-\u200d\u2060\ufeff\ufffd]+")


def as_written(text: str) -> str:
    return UNSTORABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def all_as_written(value: Any) -> Any:
    """A JSON value with every string inside it `as_written`, keys too, and only numbers that JSON has."""
    if isinstance(value, str):
        return as_written(value)
    if isinstance(value, dict):
        return {as_written(key): all_as_written(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [all_as_written(inner) for inner in value]
    return finite(value)


def finite(value: Any) -> Any:
    """A JSON value in which NaN and infinity are text: SQLite reads no JSON that holds one of them."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def is_blank(text: str) -> bool:
    """True when there is nothing to read in it."""
    return not NOTHING.sub("", BIDI.sub("", as_written(text)))


def message_text(text: str, what: str = "message") -> str:
    """`text` as it will be stored. Raises BadText when it is blank or above 4,000,000 characters."""
    if is_blank(text):
        raise BadText(f"An empty {what} is not saved; write something first.")
    if len(text) > MESSAGE_LIMIT:
        raise BadText(
            f"That {what} has {len(text):,} characters, {MESSAGE_LIMIT:,} at most; send it in parts."
        )
    return as_written(text)


def one_line(text: str, what: str = "memory") -> str:
    """`text` on one line. Raises BadText when it is blank or above 2,000 characters."""
    if is_blank(text):
        raise BadText(f"An empty {what} is not saved; write something first.")
    line = " ".join(UNSTORABLE.sub(" ", BIDI.sub("", text)).split())
    if len(line) > LINE_LIMIT:
        raise BadText(
            f"A {what} holds {LINE_LIMIT:,} characters at most, this one has {len(line):,}; shorten it."
        )
    return line


def quoted(identifier: str) -> str:
    """A foreign id as it may be shown in a sentence: short and harmless."""
    shown = UNSTORABLE.sub("\ufffd", BIDI.sub("\ufffd", identifier))
    return f"'{shown[:60]}…'" if len(shown) > 60 else f"'{shown}'"
