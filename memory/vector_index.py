"""An index of vectors in Chroma: ids and vectors only, no text. The one file that imports chromadb.

It is disposable. A folder that is damaged, was deleted, or was replaced by another process is opened
afresh, empty if need be; whoever holds the texts (in_step.py) sees that its state changed and fills it.

A folder holds a collection for each owner, kind and embedder: a filter by metadata would be an order of
magnitude slower. The indexes of one process share the open folder, so another one costs a collection and
no client, and what one of them writes is not taken for the work of another process.

Chroma does not expect a second process in its folder. So every call holds a lock on the folder, and nothing
of it is deleted for being in use; what is found torn under the lock was left by a process that died.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakSet, WeakValueDictionary

from memory.embedder import Embedder
from memory.errors import AttuneError
from memory.files import lock_made
from memory.index_files import MOVED, blank_rest, collection_name, delete_files, only_chroma, signature, torn
from memory.index_purge import compact, drop, drop_everywhere, hasten, settle, write_out

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
BATCH = 64
PATIENCE_SECONDS = 60.0  # forgetting in a large home takes some seconds
SAMPLE, SAME = 16, 1e-3  # entries that are looked up; cosine distance of a vector to itself, rounded
COSINE: Any = {"hnsw": {"space": "cosine"}}


class IndexError_(AttuneError):
    """The index folder cannot be used, also after it was made anew."""


class BusyIndex(IndexError_):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another process kept the memory index {folder} for too long; close it, or wait a moment, and "
            "try again."
        )


def alone(folder: Path, seconds: float | None = None) -> AbstractContextManager[None]:
    """Nobody else uses the index in `folder` until it is left, whether thread or process; who is in it may
    enter again. Waits for at most so many seconds, PATIENCE_SECONDS as a rule. Raises BusyIndex.

    Where the file system knows no locks, other processes are not kept out.
    """
    return _Folder.shared(folder).alone(seconds)


def empty(folder: Path) -> bool:
    """Delete whatever the index in `folder` holds, of all collections; False when something is left."""
    files = _Folder.shared(folder)
    with files.alone():
        files.wipe()
    return not any(folder.iterdir())


class VectorIndex:
    """Cosine similarity over the collection of one owner, one kind and one embedder. Thread-safe."""

    def __init__(self, folder: Path, embedder: Embedder, owner: str = "owner", kind: str = "fact") -> None:
        self.folder = Path(folder)
        self.embedder = embedder
        self._name = collection_name(owner, kind, embedder.name)
        self._files = _Folder.shared(self.folder)

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


class _Folder:
    """The files of an index, opened once in a process however many collections of it are used."""

    _opened: ClassVar[WeakValueDictionary[str, _Folder]] = WeakValueDictionary()
    _opening = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._entered = 0  # how deep the thread that has `lock` is in `alone`
        self._users: WeakSet[VectorIndex] = WeakSet()
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._known: object = None
        self._blanked: set[str] = set()
        self._epoch = 0  # how often the files were opened
        self._writes: Counter[str] = Counter()  # of this process, by collection

    @classmethod
    def shared(cls, path: Path) -> _Folder:
        key = os.path.abspath(path)
        with cls._opening:
            found = cls._opened.get(key)
            if found is None:
                found = cls._opened[key] = cls(path)
            return found

    @contextmanager
    def alone(self, seconds: float | None = None) -> Iterator[None]:
        with self.lock:
            try:
                patience = PATIENCE_SECONDS if seconds is None else seconds
                handle = None if self._entered else lock_made(self.path, seconds=patience)
            except TimeoutError as error:
                raise BusyIndex(self.path) from error
            self._entered += 1
            try:
                yield
            finally:
                self._entered -= 1
                if handle is not None:
                    os.close(handle)

    def do(self, user: VectorIndex, work: Callable[[], T], writes_to: str | None = None) -> T:
        """Run `work`; when Chroma fails, open the files afresh, and then make them anew."""
        with self.alone():
            self._users.add(user)
            if self._client is not None and signature(self.path) != self._known:
                self.close()  # deleted, replaced, or written by another process: Chroma would not notice
            for mend in (self.close, self.wipe, None):
                try:
                    done = work()
                    break
                except AttuneError:
                    raise
                except BaseException as error:
                    only_chroma(error)
                    wrong = error
                if mend is not None:
                    (self.close if _in_use(wrong) else mend)()
            else:
                if _in_use(wrong):
                    raise BusyIndex(self.path) from wrong
                raise IndexError_(
                    f"The memory index {self.path} cannot be used; "
                    "delete that folder and run `attune memory rebuild`."
                ) from wrong
            if writes_to is not None:
                blank_rest(self.path, self._blanked)
                self._writes[writes_to] += 1
                self._known = signature(self.path)
            return done

    def collection(self, name: str) -> Any:
        """To be called from within `do`."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = self.client().get_or_create_collection(
                name, embedding_function=None, configuration=COSINE
            )
            settle(found)
            self._known = signature(self.path)  # it may have been made just now
        return found

    def client(self) -> Any:
        if self._client is None:
            import chromadb
            from chromadb.config import Settings

            if torn(self.path):
                self.wipe()
            self.path.mkdir(parents=True, exist_ok=True)
            self._client = chromadb.PersistentClient(
                path=str(self.path), settings=Settings(anonymized_telemetry=False, allow_reset=False)
            )
            blank_rest(self.path, self._blanked)  # whoever wrote last may have died before
            self._epoch += 1
            self._known = signature(self.path)
        return self._client

    def state(self, user: VectorIndex, name: str) -> object:
        with self.lock:
            self.do(user, lambda: self.collection(name))
            return self._epoch, self._writes[name]

    def put(self, user: VectorIndex, name: str, ids: list[str], vectors: list[Any]) -> None:
        self.do(user, lambda: self.collection(name).upsert(ids=ids, embeddings=vectors), name)

    def empty(self, user: VectorIndex, name: str) -> None:
        def drop() -> None:
            self.collection(name)
            self.client().delete_collection(name)
            del self._collections[name]

        self.do(user, drop, name)

    def purge(self, user: VectorIndex, gone: list[str]) -> None:
        # how soon Chroma writes out is read when the files are opened: hence one opening for each step
        with self.alone():
            for step in (partial(drop_everywhere, ids=gone), hasten, write_out):
                self.do(user, lambda step=step: step(self.client()))  # type: ignore[misc]
                self.close()
            self._blanked.clear()
            blank_rest(self.path, self._blanked)
            try:
                compact(self.path)
            except (OSError, sqlite3.Error) as error:
                if _in_use(error):
                    raise BusyIndex(self.path) from error
                self.wipe()  # who holds the texts fills it again

    def leave(self, user: VectorIndex) -> None:
        with self.lock:
            self._users.discard(user)
            if not self._users:
                self.close()

    def close(self) -> None:
        with self.lock:
            if self._client is not None:
                try:
                    self._client.close()
                except Exception:
                    pass  # a client whose files are gone has nothing left to close
            self._client = self._known = None
            self._collections = {}

    def wipe(self) -> None:
        """To be called `alone`. The folder itself stays: it is what is locked."""
        self.close()
        _forget_clients(self.path)
        delete_files(self.path)


def _in_use(error: BaseException) -> bool:
    """Whether SQLite, or Chroma in its words, says that somebody else has the database locked."""
    return "is locked" in str(error)


def _forget_clients(folder: Path) -> None:
    """Chroma keeps one system per path for the life of the process, one that failed to start too."""
    if "chromadb" not in sys.modules:
        return
    from chromadb.api.shared_system_client import SharedSystemClient

    SharedSystemClient._identifier_to_system.pop(str(folder), None)
    SharedSystemClient._identifier_to_refcount.pop(str(folder), None)
