"""The open folder of an index in Chroma. The one file that imports chromadb.

Chroma does not expect a second process in its folder. So every call holds a lock on the folder, and nothing
of it is deleted for being in use; what is found torn under the lock was left by a process that died.

The indexes of one process share the open folder, so another one costs a collection and no client, and what
one of them writes is not taken for the work of another process.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet, WeakValueDictionary

from memory.errors import AttuneError
from memory.files import lock_made
from memory.index.files import blank_rest, delete_files, only_chroma, signature, torn
from memory.index.purge import compact, drop_everywhere, hasten, settle, write_out

T = TypeVar("T")
PATIENCE_SECONDS = 60.0  # forgetting in a large home takes some seconds
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
    return IndexFolder.shared(folder).alone(seconds)


def empty(folder: Path) -> bool:
    """Delete whatever the index in `folder` holds, of all collections; False when something is left."""
    files = IndexFolder.shared(folder)
    with files.alone():
        files.wipe()
    return not any(folder.iterdir())


class IndexFolder:
    """The files of an index, opened once in a process however many collections of it are used."""

    _opened: ClassVar[WeakValueDictionary[str, IndexFolder]] = WeakValueDictionary()
    _opening = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._entered = 0  # how deep the thread that has `lock` is in `alone`
        self._users: WeakSet[object] = WeakSet()
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._known: object = None
        self._blanked: set[str] = set()
        self._epoch = 0  # how often the files were opened
        self._writes: Counter[str] = Counter()  # of this process, by collection

    @classmethod
    def shared(cls, path: Path) -> IndexFolder:
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

    def do(self, user: object, work: Callable[[], T], writes_to: str | None = None) -> T:
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

    def state(self, user: object, name: str) -> object:
        with self.lock:
            self.do(user, lambda: self.collection(name))
            return self._epoch, self._writes[name]

    def put(self, user: object, name: str, ids: list[str], vectors: list[Any]) -> None:
        self.do(user, lambda: self.collection(name).upsert(ids=ids, embeddings=vectors), name)

    def empty(self, user: object, name: str) -> None:
        def drop() -> None:
            self.collection(name)
            self.client().delete_collection(name)
            del self._collections[name]

        self.do(user, drop, name)

    def purge(self, user: object, gone: list[str]) -> None:
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

    def leave(self, user: object) -> None:
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
