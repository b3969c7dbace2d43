"""`attune bench recall --locomo`: conversations as ordinary memories, asked about by ordinary recall."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from env.bench import recall as bench
from env.bench.errors import BenchError
from memory.database import open_home
from memory.facts import Facts
from memory.index.embedder import Embedder
from memory.index.vector_index import VectorIndex
from memory.recall.ranking import PARTS
from memory.recall.recall import Recall
from memory.records import Place
from memory.text import LINE_LIMIT

Progress = Callable[[float, str], None]


class Home:
    """A home of its own for one conversation. A session is a thread, and each turn a memory in it.

    The questions are asked without the floor: it decides how many hits are worth a small model's attention,
    and what is measured here is their order. `without` leaves parts of the score out of it (ranking.py), to
    see what they are worth; twice as many hits are asked for then, since others may come to the front.
    """

    def __init__(self, folder: Path, embedder: Embedder, without: Sequence[str] = ()) -> None:
        self._without = without
        self._db = open_home(folder)
        self._recall = Recall(Facts(self._db), VectorIndex(folder / "index", embedder))
        self._turns: dict[str, str] = {}

    def store(self, turns: Sequence[bench.Turn], progress: Callable[[int, int], None]) -> None:
        """Each turn as an ordinary memory, in the way in which a chat is brought along."""
        told = [
            (
                f"{turn.speaker}: {turn.text}"[:LINE_LIMIT],
                Place(turn.session, position, turn.at, turn.speaker),
            )
            for position, turn in enumerate(turns)
        ]
        made = self._recall.remember_turns(told, progress)
        self._turns = {memory.id: turn.id for memory, turn in zip(made, turns, strict=True)}

    def find(self, question: str, k: int) -> list[str]:
        found = self._recall.search(question, k if not self._without else 2 * k, floor=False)
        left_out = {one.memory_id: sum(one.parts.get(name, 0.0) for name in self._without) for one in found}
        found.sort(key=lambda one: left_out[one.memory_id] - one.score)
        return [self._turns[one.memory_id] for one in found[:k]]

    def close(self) -> None:
        self._recall.index.close()
        self._db.close()


def run(
    folder: Path,
    embedder: Embedder,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    without: Sequence[str] = (),
) -> dict[str, Any]:
    """The report of `env.bench.recall` for this product's memory.

    Raises BenchError for a bad folder, or an unknown part of the score in `without`.
    """
    if unknown := [name for name in without if name not in PARTS]:
        raise BenchError(f"A score has no part {unknown[0]!r}; its parts are {', '.join(PARTS)}.")
    talks = bench.load(folder)
    with tempfile.TemporaryDirectory(prefix="attune-recall-", ignore_cleanup_errors=True) as place:
        made = 0

        def home() -> Home:
            nonlocal made
            made += 1
            return Home(Path(place) / str(made), embedder, without)

        return bench.run(talks, home, progress, cancelled)
