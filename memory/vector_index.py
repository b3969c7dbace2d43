"""An index of vectors in Chroma: ids and vectors only, no text. The one file that imports chromadb.

It is disposable. A folder that is damaged, was deleted, or was replaced by another process is opened
afresh, empty if need be; whoever holds the texts (recall.py) sees that the counts differ and fills it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from memory.embedder import Embedder
from memory.errors import AttuneError

T = TypeVar("T")
BATCH = 64
MOVED = 1_000


class IndexError_(AttuneError):
    """The index folder cannot be used, also after it was made anew."""


class VectorIndex:
    """Cosine similarity over one collection, which is named after owner, kind and embedder: a filter by
    metadata would be an order of magnitude slower than a collection of its own."""

    def __init__(self, folder: Path, embedder: Embedder, owner: str = "owner", kind: str = "fact") -> None:
        self.folder = Path(folder)
        self.embedder = embedder
        space = hashlib.sha256(embedder.name.encode()).hexdigest()[:12]
        self._collection_name = f"{owner}-{kind}-{space}"
        self._lock = threading.RLock()
        self._client: Any = None
        self._collection: Any = None
        self._known: object = None

    def add(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Embed and store; an id that is there already gets the new vector."""
        for start in range(0, len(ids), BATCH):
            some = list(ids[start : start + BATCH])
            vectors = self.embedder.embed(list(texts[start : start + BATCH]))
            self._store(some, vectors)

    def _store(self, ids: list[str], vectors: list[list[float]]) -> None:
        self._do(lambda c: c.upsert(ids=ids, embeddings=vectors), writes=True)

    def remove(self, ids: Sequence[str]) -> None:
        """Ids that are not there are skipped."""
        if ids:
            self._do(lambda c: c.delete(ids=list(ids)), writes=True)

    def forget(self, ids: Sequence[str]) -> None:
        """Like `remove`, but no vector stays behind in the files: Chroma keeps what was removed in its
        queue, and the text can be guessed from a vector (arXiv 2310.06816). The others move to new files.
        """
        with self._lock:
            found = self._do(lambda c: c.get(include=["embeddings"]))
            gone = set(ids)
            left = [
                (one, [float(value) for value in vector])
                for one, vector in zip(found["ids"], found["embeddings"], strict=True)
                if one not in gone
            ]
            self._wipe()
            for start in range(0, len(left), MOVED):
                some = left[start : start + MOVED]
                self._store([one for one, _ in some], [vector for _, vector in some])

    def query(self, text: str, k: int) -> list[tuple[str, float]]:
        """The k nearest ids with their cosine similarity in [-1, 1], nearest first."""
        [vector] = self.embedder.embed([text])

        def ask(collection: Any) -> Any:
            size = collection.count()
            if not size or k < 1:
                return None
            return collection.query(query_embeddings=[vector], n_results=min(k, size), include=["distances"])

        found = self._do(ask)
        if found is None:
            return []
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return sorted(((one, 1.0 - float(distance)) for one, distance in pairs), key=lambda pair: -pair[1])

    def count(self) -> int:
        return int(self._do(lambda c: c.count()))

    def ids(self) -> set[str]:
        return set(self._do(lambda c: c.get(include=[]))["ids"])

    def rebuild(
        self, pairs: Iterable[tuple[str, str]], progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Empty the index and fill it from (id, text) pairs; `progress(done, all)` after each batch."""
        todo = list(pairs)
        with self._lock:
            self._do(self._empty, writes=True)
            self._collection = None  # the emptied collection has a new identity
            for start in range(0, len(todo), BATCH):
                some = todo[start : start + BATCH]
                self.add([one for one, _ in some], [text for _, text in some])
                if progress:
                    progress(min(start + BATCH, len(todo)), len(todo))

    def close(self) -> None:
        """Let go of the files; the next call opens them again."""
        with self._lock:
            if self._client is not None:
                try:
                    self._client.close()
                except Exception:
                    pass  # a client whose files are gone has nothing left to close
            self._client = self._collection = self._known = None

    def _empty(self, collection: Any) -> None:
        # Before an id is filled in again, another process may query: it gets less, never a wrong answer.
        self._client.delete_collection(collection.name)

    def _do(self, work: Callable[[Any], T], writes: bool = False) -> T:
        with self._lock:
            done = self._tried(work)
            if writes:
                self._known = self._signature()
            return done

    def _tried(self, work: Callable[[Any], T]) -> T:
        """Run `work` on the collection; when Chroma fails, open it afresh, and then from an empty folder."""
        with self._lock:
            if self._client is not None and self._signature() != self._known:
                self.close()  # deleted, replaced, or written by another process: Chroma would not notice
            for mend in (self.close, self._wipe, None):
                try:
                    return work(self._open())
                except AttuneError:
                    raise
                except BaseException as error:
                    _only_chroma(error)
                    wrong = error
                if mend is not None:
                    mend()
            raise IndexError_(
                f"The memory index {self.folder} cannot be used; "
                "delete that folder and run `attune memory rebuild`."
            ) from wrong

    def _open(self) -> Any:
        if self._collection is None:
            import chromadb
            from chromadb.config import Settings

            self.folder.mkdir(parents=True, exist_ok=True)
            self._client = chromadb.PersistentClient(
                path=str(self.folder), settings=Settings(anonymized_telemetry=False, allow_reset=False)
            )
            self._collection = self._client.get_or_create_collection(
                self._collection_name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
            self._known = self._signature()
        return self._collection

    def _wipe(self) -> None:
        self.close()
        _forget_clients(self.folder)
        if self.folder.is_file():
            self.folder.unlink()
        for entry in self.folder.iterdir() if self.folder.is_dir() else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def _signature(self) -> object:
        """Changes with every write by whomever: Chroma puts each into its SQLite file first."""
        seen = []
        for name in ("chroma.sqlite3", "chroma.sqlite3-wal"):
            try:
                stat = os.stat(self.folder / name)
                seen.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
            except OSError:
                seen.append((0, 0, 0))
        return tuple(seen)


def _only_chroma(error: BaseException) -> None:
    """Let pass what is not Chroma's: its Rust core panics with a class that derives from BaseException."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return
    raise error


def _forget_clients(folder: Path) -> None:
    """Chroma keeps one system per path for the life of the process, one that failed to start too."""
    from chromadb.api.shared_system_client import SharedSystemClient

    SharedSystemClient._identifier_to_system.pop(str(folder), None)
    SharedSystemClient._identifier_to_refcount.pop(str(folder), None)
