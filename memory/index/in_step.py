"""Keeps a vector index in step with the tables that it is an index of, at a cost that does not grow.

The database has the last word. Its tables count their changes by triggers (`memory_version` in schema.py),
and the index tells when its files are not what they were. As long as both are as they were left, a search
has nothing to compare; a change that goes through `change` is carried over to the index at once and keeps
them in step. Whatever else happened - another process wrote, a process died between database and index,
the folder was deleted or damaged - shows in one of the two, and then all ids are compared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from memory.database import Database
from memory.errors import AttuneError
from memory.index.vector_index import VectorIndex

T = TypeVar("T")
BATCH = 64
Progress = Callable[[int, int], None]


class Source(Protocol):
    """Tables with texts to find by meaning."""

    @property
    def db(self) -> Database: ...

    def version(self) -> int:
        """Grows with every change of what `ids` and `texts` give, whoever makes it."""
        ...

    def ids(self) -> set[str]: ...

    def texts(self) -> list[tuple[str, str]]:
        """(id, text) of all that `ids` names."""
        ...


class InStep:
    """One index and its source. Safe to share between threads."""

    def __init__(self, source: Source, index: VectorIndex) -> None:
        self.source = source
        self.index = index
        self._lock = threading.RLock()
        self._version: int | None = None  # of the source, when the index was last known to hold the same
        self._state: object = None  # of the index, then
        self._carried: dict[int, int] = {}  # from one version to the next, by changes of ours

    def query(self, text: str, k: int) -> list[tuple[str, float]]:
        """`VectorIndex.query`, of an index that holds all that the source does."""
        self.sync()
        found = self.index.query(text, k)
        # Damage that only a query meets makes the index start anew, empty: fill it, and ask again.
        return self.index.query(text, k) if self.sync() else found

    def change(self, write: Callable[[], T], follow: Callable[[T], None]) -> T:
        """Do `write` in a transaction of the source, and then `follow` with its result in the index.

        An index that fails is not an error here, since the source holds the change durably: the next
        `sync` catches up. Without any change `follow` is not called.
        """
        joined = self.source.db.connection().in_transaction
        with self.source.db.transaction():
            before = self.source.version()
            done = write()
            after = self.source.version()
        if after == before:
            return done
        try:
            with self._lock:
                untouched = self._version is not None and self.index.state() == self._state
                follow(done)
                # A transaction that goes on may still be rolled back: then the ids are compared.
                if untouched and not joined:
                    self._state = self.index.state()
                    self._carried[before] = after
                    while self._version in self._carried:  # two threads may finish in either order
                        self._version = self._carried.pop(self._version)
        except AttuneError:
            pass
        return done

    def sync(self, progress: Progress | None = None) -> bool:
        """Bring the index in step with its source; True when there was need. `progress(done, all)`.

        Ids are compared, not counts: an edit whose process died before it reached the index leaves as
        many entries, and a wrong one among them.
        """
        with self._lock:
            mended = False
            # Each turn looks again at what the one before has mended; others may write all the while.
            for _ in range(3):
                version, state = self.source.version(), self.index.state()
                if version == self._version and state == self._state:
                    return mended
                if self._version is not None and version != self._version:
                    # Somebody else's change. Chroma reads what another process wrote only when it is opened.
                    self.index.reopen()
                    state = self.index.state()
                held, there = self.source.ids(), self.index.ids()
                self._carried.clear()
                if not self.index.finds(there):
                    self.index.clear()
                    there = set()
                if held == there:
                    self._version, self._state = version, state
                    return mended
                self._version = None
                self._mend(there, progress)
                mended = True
            return mended

    def _mend(self, there: set[str], progress: Progress | None) -> None:
        live = dict(self.source.texts())
        self.index.remove(sorted(there - live.keys()))
        missing = [one for one in live if one not in there]
        for start in range(0, len(missing), BATCH):
            some = missing[start : start + BATCH]
            self.index.add(some, [live[one] for one in some])
            if progress:
                progress(start + len(some), len(missing))
