"""`attune bench facts`: what is kept of long conversations between two people, and how much of it is junk.

Each speaker of each conversation is an owner with a home of their own, who says their turns to the agent in
order. What was kept is then compared pair by pair: duplicates say the same, contradictions cannot both hold.
Whether a fact was worth keeping is for a person to judge: `sample` draws some.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from env.bench.errors import BenchCancelled
from memory.errors import AttuneError
from memory.records import Memory
from memory.statements.relations import contradict, fold, read

Progress = Callable[[float, str], None]
Keep = Callable[[Sequence[str], Callable[[], None]], list[Memory]]


class BadFolder(AttuneError):
    """The folder holds no conversations."""


@dataclass(frozen=True, slots=True)
class Speaker:
    conversation: str
    name: str
    turns: tuple[str, ...]


def speakers(folder: Path) -> list[Speaker]:
    """Everybody who speaks in the conversations of `folder` (LoCoMo's JSON), with their turns in order."""
    found: list[Speaker] = []
    for path in sorted(folder.glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            for name in told["speakers"]:
                turns = tuple(turn["text"] for turn in told["turns"] if turn["speaker"] == name)
                found.append(Speaker(str(told["id"]), str(name), turns))
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            raise BadFolder(f"{path} is no conversation as LoCoMo has them; take it out.") from wrong
    if not found:
        raise BadFolder(f"{folder} holds no conversations; give the folder with LoCoMo's .json files.")
    return found


def run(
    folder: Path,
    keep: Keep,
    sample: int = 0,
    seed: int = 0,
    most: int | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """`keep(turns, step)` says the turns to a fresh home and returns all memories of it, past ones too.

    `most` caps the turns of each speaker. The result counts per home and sums up:
    {"turns", "facts", "said", "inferred", "superseded", "duplicates", "contradictions", "per_100_turns",
    "sample"}.
    """
    people = speakers(folder)
    said = [one.turns[:most] for one in people]
    total, done = sum(map(len, said)), 0
    alive: list[tuple[Speaker, Memory]] = []
    past = duplicates = contradictions = 0

    def step() -> None:
        nonlocal done
        done += 1
        if cancelled is not None and cancelled():
            raise BenchCancelled
        if progress is not None:
            progress(done / max(total, 1), f"{done} of {total} turns")

    for speaker, turns in zip(people, said, strict=True):
        kept = keep(turns, step)
        held = [one for one in kept if one.valid_to is None]
        past += len(kept) - len(held)
        alive += [(speaker, one) for one in held]
        duplicates += sum(1 for pair in combinations(held, 2) if same(*pair))
        contradictions += sum(1 for pair in combinations(held, 2) if at_odds(*pair))
    drawn = random.Random(seed).sample(alive, min(sample, len(alive)))
    return {
        "speakers": len(people),
        "turns": total,
        "facts": len(alive),
        "said": sum(one.origin == "said" for _, one in alive),
        "inferred": sum(one.origin == "inferred" for _, one in alive),
        "superseded": past,
        "duplicates": duplicates,
        "contradictions": contradictions,
        "per_100_turns": round(100 * len(alive) / max(total, 1), 2),
        "sample": [
            {"conversation": who.conversation, "speaker": who.name, "text": one.text, "origin": one.origin}
            for who, one in drawn
        ],
    }


def same(one: Memory, other: Memory) -> bool:
    """Whether two memories say the same: the same words, or the same claim in other words."""
    a, b = read(one.text), read(other.text)
    return fold(one.text) == fold(other.text) or (a.claim == b.claim and a.denies == b.denies)


def at_odds(one: Memory, other: Memory) -> bool:
    """Whether two memories that both hold contradict each other, whichever was said first."""
    older, newer = sorted((one, other), key=lambda memory: memory.created_at)
    return contradict(read(older.text), read(newer.text))


def as_table(result: dict[str, Any]) -> str:
    lines = [f"{name:<16} {value}" for name, value in result.items() if name != "sample"]
    lines += [f"  {one['conversation']} {one['speaker']}: {one['text']}" for one in _listed(result["sample"])]
    return "\n".join(lines)


def _listed(sample: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(sample, key=lambda one: (one["conversation"], one["speaker"], one["text"]))
