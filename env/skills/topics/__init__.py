"""The everyday topics that the embedded model knows: (topic, aliases, facts), written by us."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    aliases: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


@cache
def topics() -> tuple[Topic, ...]:
    """All topics, in a fixed order."""
    found = []
    for name in ("nature.jsonl", "people.jsonl"):
        for line in files(__package__).joinpath(name).read_text("utf-8").splitlines():
            row = json.loads(line)
            found.append(Topic(row["topic"], tuple(row["aliases"]), tuple(row["facts"])))
    return tuple(found)
