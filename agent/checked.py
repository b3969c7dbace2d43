"""A record made of what a line of a file says: ValueError when a field is not of its type."""

from __future__ import annotations

import math
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from memory.records import Generation, Passage, Recalled, tried


def record(kind: Any, entry: Any) -> Any:
    """The fields of the dataclass `kind` in `entry`, lists as tuples; what it does not know is left out."""
    name = kind.__name__.casefold()
    if not isinstance(entry, dict):
        raise ValueError(f"its {name} is no object")
    types = _types(kind)
    known = {field: entry[field] for field in types if field in entry}
    for field, value in known.items():
        if not _fits(value, types[field]):
            raise ValueError(f"a {name} whose {field} is of the wrong type")
    fixed = {field: tuple(value) if isinstance(value, list) else value for field, value in known.items()}
    try:
        return kind(**fixed)
    except TypeError as wrong:
        raise ValueError(f"a {name} with fields missing ({wrong})") from wrong


def generation(entry: Any, reply_id: str) -> Generation:
    """How the reply came about, with what it was shown."""
    if not isinstance(entry, dict):
        raise ValueError("its generation is no object")
    shown = {
        "recalled": [record(Recalled, one) for one in _list(entry, "recalled")],
        "passages": [record(Passage, one) for one in _list(entry, "passages")],
        "trial": tried(entry.get("trial")),
        "reply_id": reply_id,
    }
    made: Generation = record(Generation, {**entry, **shown})
    if not all(isinstance(one.get(name), str) for one in made.messages for name in ("role", "content")):
        raise ValueError("a generation with a message that says nothing")
    return made


def _list(entry: dict[str, Any], name: str) -> list[Any]:
    found = entry.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"its {name} is no list")
    return found


@cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value may stand where a record has `kind`."""
    origin, of = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in of)
    if origin is Literal:
        return value in of
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, of[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, of[1]) for one in value.values())
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)
