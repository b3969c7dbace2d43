"""PDF, by pypdf. Places are pages."""

from __future__ import annotations

import logging
import re
from io import BytesIO

from memory.documents.records import Parsed, Unreadable
from memory.text import as_written

HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


def read(data: bytes) -> Parsed:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    # It tells about every oddity of a file; on a terminal these lines would be drawn across the screen.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(BytesIO(data))
        # Many files are encrypted with an empty password: they only forbid printing.
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is encrypted; save it without a password")
        parts: list[str] = []
        marks: list[tuple[int, int]] = []
        at = 0
        odd: Exception | None = None
        for number in range(1, len(reader.pages) + 1):
            try:
                text = HYPHENATED.sub("", as_written(reader.pages[number - 1].extract_text() or "")).strip()
            except Exception as broken:  # of one page; the others are to be learned
                odd = broken
                continue
            if text:
                marks.append((at, number))
                parts.append(text + "\n\n")
                at += len(parts[-1])
        if odd and not parts:
            raise odd
    except (DependencyError, NotImplementedError) as foreign:
        reason = "it is packed or encrypted in a way that cannot be read here; print it into a new PDF"
        raise Unreadable(reason) from foreign
    except PyPdfError as broken:
        raise Unreadable(f"it is a broken PDF ({type(broken).__name__})") from broken
    if not parts:
        raise Unreadable("its pages hold no text, only pictures; run text recognition on it first")
    return Parsed("".join(parts), "page", tuple(marks))
