"""An index of vectors in Chroma: ids and vectors only, no text.

It is disposable. A folder that is damaged, was deleted, or was replaced by another process is opened
afresh (folder.py), empty if need be; whoever holds the texts (in_step.py) sees that its state changed
and fills it.

A folder holds a collection for each owner, kind and embedder: a filter by metadata would be an order of
magnitude slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from memory.index.embedder import Embedder
from memory.index.files import MOVED, collection_name
from memory.index.folder import IndexFolder
from memory.index.purge import drop

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
BATCH = 64
SAMPLE, SAME = 16, 1e-3  # entries that are looked up; cosine distance of a vector to itself, rounded


class VectorIndex:
    """Cosine similarity over the collection of one owner, one kind and one embedder. Thread-safe."""

    def __init__(self, folder: Path, embedder: Embedder, owner: str = "owner", kind: str = "fact") -> None:
        self.folder = Path(folder)
        self.embedder = embedder
        self._name = collection_name(owner, kind, embedder.name)
        self._files = IndexFolder.shared(self.folder)

    def add(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Embed and store; an id that is there already gets the new vector."""
        for start in range(0, len(ids), BATCH):
            vectors = self.embedder.embed(list(texts[start : start + BATCH]))
            self.put(ids[start : start + BATCH], vectors)

    def put(self, ids: Sequence[str], vectors: Sequence[Sequence[float]] | np.ndarray) -> None:
        """Store vectors that were made elsewhere with this index's embedder; like `add` otherwise."""
        for start in range(0, len(ids), MOVED):
            some, theirs = list(ids[start : start + MOVED]), list(vectors[start : start + MOVED])
            self._files.put(self, self._name, some, theirs)

    def remove(self, ids: Sequence[str]) -> None:
        """Ids that are not there are skipped."""
        if ids:
            self._files.do(self, lambda: drop(self._collection(), ids), self._name)

    def forget(self, ids: Sequence[str]) -> None:
        """Like `remove`, from every collection of the folder, and no vector stays behind in the files.

        The files are written out for it, which takes some seconds for a hundred thousand vectors.
        """
        self._files.purge(self, sorted(set(ids)))

    def query(self, text: str, k: int) -> list[tuple[str, float]]:
        """The k nearest ids with their cosine similarity in [-1, 1], nearest first."""
        return self.nearest(self.embedder.embed([text])[0], k) if k > 0 else []

    def nearest(self, vector: Sequence[float], k: int) -> list[tuple[str, float]]:
        """`query` for a vector of the embedder. Fewer than k when the collection holds fewer."""
        if k < 1:
            return []
        found = self._do(lambda c: c.query(query_embeddings=[vector], n_results=k, include=["distances"]))
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return sorted(((one, 1.0 - float(distance)) for one, distance in pairs), key=lambda pair: -pair[1])

    def count(self) -> int:
        return int(self._do(lambda c: c.count()))

    def ids(self) -> set[str]:
        return set(self._do(lambda c: c.get(include=[]))["ids"])

    def finds(self, ids: Iterable[str]) -> bool:
        """Whether a sample of `ids` is found by its own vectors, all but a few.

        Chroma keeps ids in one file and most vectors in others, and goes on without those that are lost.
        A few may be hard to find in a sound graph as well (Malkov and Yashunin, arXiv 1603.09320).
        """
        every = sorted(ids)
        some = every[:: max(1, len(every) // SAMPLE)][: 2 * SAMPLE]
        if not some:
            return True

        def ask(collection: Any) -> bool:
            held = collection.get(ids=some, include=["embeddings"])
            if not held["ids"]:
                return False
            near = collection.query(query_embeddings=held["embeddings"], n_results=1, include=["distances"])
            found = sum(bool(nearest) and nearest[0] < SAME for nearest in near["distances"])
            return (len(some) - found) * 4 < len(some)

        return self._do(ask)

    def clear(self) -> None:
        """Empty this collection."""
        self._files.empty(self, self._name)

    def collection(self) -> Any:
        """Chroma's own, as it is now: for who measures what this class costs beside it."""
        return self._do(lambda c: c)

    def state(self) -> object:
        """Equal to an earlier one only if nobody has changed the collection since; costs microseconds.

        Another process that writes to the folder, its loss and its damage make a new state, as far as they
        show when the files are opened; a write of this process makes one for its own collection.
        """
        return self._files.state(self, self._name)

    def reopen(self) -> None:
        """Have the files read afresh by the next call, as if another process had written to them."""
        self._files.close()

    def rebuild(
        self, pairs: Iterable[tuple[str, str]], progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Empty the index and fill it from (id, text) pairs; `progress(done, all)` after each batch."""
        todo = list(pairs)
        with self._files.lock:
            # Before an id is filled in again, another process may query: it gets less, never a wrong answer.
            self.clear()
            for start in range(0, len(todo), BATCH):
                some = todo[start : start + BATCH]
                self.add([one for one, _ in some], [text for _, text in some])
                if progress:
                    progress(min(start + BATCH, len(todo)), len(todo))

    def close(self) -> None:
        """Let go of the files, once all indexes of the folder did; the next call opens them again."""
        self._files.leave(self)

    def _collection(self) -> Any:
        return self._files.collection(self._name)

    def _do(self, work: Callable[[Any], T]) -> T:
        return self._files.do(self, lambda: work(self._collection()))
