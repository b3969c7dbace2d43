"""Text that is not ours, made safe to show and to edit: no terminal controls, no hidden direction changes."""

from __future__ import annotations

import re
from datetime import datetime

from rich.cells import cell_len, set_cell_size

# C0 and C1 controls but tab and newline; bidi embeddings, overrides and isolates; the BOM.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

# of teletypes and printers, too: what was on another line must not run on
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c]")


def clean(text: str) -> str:
    """`text` with all line ends as newlines and unsafe characters shown as \u00b7."""
    return UNSAFE.sub("\u00b7", _unified(text))


def editable(text: str) -> str:
    """Like `clean`, but without the unsafe characters: a sign in their place would be kept as if written."""
    return UNSAFE.sub("", _unified(text))


def _unified(text: str) -> str:
    return _LINE_ENDS.sub("\n", text)


def one_line(text: str, width: int = 72) -> str:
    """`text` on one line of at most `width` characters, with an ellipsis where it was cut."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: max(width - 1, 0)].rstrip() + "\u2026"


def cut(text: str, cells: int) -> str:
    """Like `one_line`, by the cells that the text takes on a terminal: a wide character takes two."""
    flat = " ".join(clean(text).split())
    return flat if cell_len(flat) <= cells else set_cell_size(flat, max(cells - 1, 0)).rstrip() + "\u2026"


def when(seconds: float) -> str:
    """A Unix time as the person's local date and minute."""
    return datetime.fromtimestamp(seconds).strftime("%d %b %Y %H:%M")


def count(number: int, noun: str, many: str | None = None) -> str:
    """`1 rating`, `3 ratings`."""
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def bar(fraction: float, width: int = 10) -> str:
    """A progress bar of `width` cells that needs no colour; `fraction` is clamped to 0..1."""
    filled = round(min(max(fraction, 0.0), 1.0) * width)
    return "\u2588" * filled + "\u2591" * (width - filled)


def sentence(error: BaseException) -> str:
    """One line for the person. Our own errors carry it; anything else is named and pointed to the log."""
    from memory.errors import AttuneError

    if isinstance(error, AttuneError):
        return one_line(str(error), 300)
    detail = one_line(str(error), 120)
    said = f" ({detail})" if detail else ""
    return (
        f"Something went wrong: {type(error).__name__}{said}. Nothing was lost; the log in the home has more."
    )
