"""A record made of what a line of a file says: ValueError when a field cannot be read as its type."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from memory.records import Generation, tried

# Unix seconds at the end of the year 9999: no date can be made of more
LATEST = 253_402_300_799.0
MOMENTS = ("created_at", "updated_at", "valid_from", "valid_to", "ended_at", "asked_at", "learned_at")


def record(kind: Any, entry: Any) -> Any:
    """The fields of the dataclass `kind` in `entry`, lists as tuples; what it does not know is left out."""
    name = kind.__name__.casefold()
    try:
        made = _reader(kind).validate_python(entry)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"a {name}{where and f' whose {where} is wrong'}: {first['msg']}") from wrong
    for moment in MOMENTS:
        at = getattr(made, moment, None)
        if at is not None and not abs(at) <= LATEST:
            raise ValueError(f"a {name} whose {moment} is no time: {at!r}")
    return made


def generation(entry: Any, reply_id: str) -> Generation:
    """How the reply came about, with what it was shown."""
    if not isinstance(entry, dict):
        raise ValueError("its generation is no object")
    made: Generation = record(Generation, {**entry, "trial": tried(entry.get("trial")), "reply_id": reply_id})
    if not all(isinstance(one.get(name), str) for one in made.messages for name in ("role", "content")):
        raise ValueError("a generation with a message that says nothing")
    return made


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
