"""Jupyter notebooks: what was written in their cells, and not what came out of them. Places are cells."""

from __future__ import annotations

import json

from memory.documents.readers.plain import decode
from memory.documents.records import Parsed, Unreadable
from memory.text import as_written


def read(data: bytes) -> Parsed:
    try:
        found = json.loads(decode(data))
    except (json.JSONDecodeError, RecursionError) as broken:
        raise Unreadable("it is broken JSON") from broken
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("it is no notebook of Jupyter, or one of before 2015; save it with a newer version")
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    at = 0
    for number, cell in enumerate(cells, 1):
        text = _source(cell) if isinstance(cell, dict) else ""
        if text.strip():
            marks.append((at, number))
            parts.append(text + "\n\n")
            at += len(parts[-1])
    return Parsed("".join(parts), "cell", tuple(marks))


def _source(cell: dict[str, object]) -> str:
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    text = as_written("".join(line for line in lines if isinstance(line, str))).strip("\n")
    if cell.get("cell_type") == "markdown":
        return text
    if cell.get("cell_type") != "code" or not text.strip():
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
