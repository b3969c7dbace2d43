"""What a reader makes of a file, and what the home knows of a document that was learned."""

from __future__ import annotations

from dataclasses import dataclass

from memory.errors import AttuneError


class Unreadable(AttuneError):
    """A file that cannot be learned: broken, encrypted, empty, too large, or of no known format."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The text of a file, as Markdown where it has headings.

    `unit` is what a place in it is counted in ("line", "page", "paragraph", "message", "cell"); `marks` are
    (offset into `text`, number) in rising order: from that offset on, that number holds. No marks mean
    lines of `text` itself. `code` says that it is a program rather than prose.
    """

    text: str
    unit: str = "line"
    marks: tuple[tuple[int, int], ...] = ()
    code: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was learned. `path` is absolute; `root` is the file or folder that was named then."""

    id: str
    path: str
    root: str
    format: str
    sha256: str
    unit: str
    learned_at: float
    passages: int = 0


def place(unit: str, first: int, last: int) -> str:
    """ "line 12", "pages 3\u20134"."""
    return f"{unit} {first}" if first == last else f"{unit}s {first}\u2013{last}"
