"""JSON as SQLite reads it. Python also writes and reads NaN and infinity, which JSON does not have: with one
of them in a row, every query that looks into such rows fails."""

from __future__ import annotations

import json
from typing import Any

from memory.text import finite


def dumps(value: Any) -> str:
    """`value` as JSON; a number that JSON does not have is written as text ("NaN", "Infinity")."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), allow_nan=False)


def loads(text: str) -> Any:
    """What `text` holds; raises ValueError when it is no JSON."""
    return json.loads(text, parse_constant=str)


def mended(text: str) -> str:
    """A text that Python wrote as JSON, as SQLite reads it; what is no JSON at all stays as it is."""
    try:
        return dumps(loads(text))
    except (ValueError, RecursionError):
        return text
