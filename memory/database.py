"""One SQLite file: opened durably, a connection per thread, named migrations.

Durable means WAL with synchronous=FULL: once `transaction()` has returned, the rows survive a
`kill -9` and a power cut. Writers queue on BEGIN IMMEDIATE, across threads and processes alike.
An open database holds its folder (shared), so that nobody puts another file in its place (restore.py).
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory.errors import AttuneError, BusyHome, DatabaseError, NewerHome, ReadOnlyHome
from memory.files import POLL_SECONDS, lock_folder
from memory.rescue.backups import Backups, erasures_in
from memory.rescue.swap import finish_swap
from memory.schema import MIGRATIONS, Migration
from memory.sentences import sentence, translated, writing
from memory.strict_json import mended

__all__ = ["Database", "hold", "open_home", "writing"]

FOLDERS = ("index", "adapters", "backups", "logs")
BUSY_SECONDS = 10.0


@dataclass(slots=True)
class _Own:
    """A thread's connection, and what is held while it is used: closed in the middle of a statement it would
    take the process with it. `uses` counts how deep its thread is in."""

    thread: threading.Thread
    connection: sqlite3.Connection
    in_use: threading.RLock = field(default_factory=threading.RLock)
    uses: int = 0


class Database:
    """`attune.db`. Safe to share between threads; every thread gets its own connection."""

    def __init__(self, path: Path, before_migrating: Callable[[Database], object] | None = None) -> None:
        """Open or create the file and bring its tables up to date; raises DatabaseError sentences.

        `before_migrating` is called once, before the first migration of tables that hold something already.
        """
        self.path = Path(path)
        self._before_migrating = before_migrating
        self._local = threading.local()
        self._opened: list[_Own] = []
        self._lock = threading.Lock()
        self._closed = False
        self._pid = os.getpid()
        self._held = hold(self.path)
        try:
            self.migrate(MIGRATIONS)
        except BaseException:
            self.close()
            raise

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode: write inside `transaction()`."""
        return self._owned().connection

    def _owned(self) -> _Own:
        if self._pid != os.getpid():  # forked: SQLite connections must not cross a fork
            self._local, self._opened, self._pid = threading.local(), [], os.getpid()
        own: _Own | None = getattr(self._local, "own", None)
        if own is not None and (own.uses or not self._closed):
            return own
        with self._translated():
            own = _Own(threading.current_thread(), self.connect())
        with self._lock:
            for old in self._opened:
                if not old.thread.is_alive():
                    old.connection.close()
            self._opened = [old for old in self._opened if old.thread.is_alive()]
            self._opened.append(own)
        self._local.own = own
        return own

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, which `close()` in another thread waits for."""
        with self._owned().in_use:
            own = self._owned()  # or a sentence, where it was closed just before
            own.uses += 1
            try:
                yield own.connection
            finally:
                own.uses -= 1

    def connect(self) -> sqlite3.Connection:
        """A connection beside this thread's own; close it. Raises sqlite3.Error, and DatabaseError after
        `close()`."""
        if self._closed:
            raise DatabaseError("The database was closed; start Attune again.")
        made = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            made.row_factory = sqlite3.Row
            made.create_function("strict_json", 1, mended, deterministic=True)  # of a migration
            for pragma in (
                f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
                "journal_mode = WAL",
                "synchronous = FULL",
                "fullfsync = ON",  # of macOS, whose fsync alone leaves the disk's own cache as it is
                "foreign_keys = ON",
                "secure_delete = ON",  # what is forgotten is overwritten, not only unlinked
            ):
                _patiently(made, f"PRAGMA {pragma}")
        except BaseException:
            made.close()
            raise
        return made

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Joins the transaction that this thread is already in, if any."""
        with ExitStack() as stack:
            connection = stack.enter_context(self.using())
            if connection.in_transaction:
                yield connection
                return
            stack.enter_context(self._translated())
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        with self._translated(), self.using() as connection:
            return connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def migrate(self, migrations: Sequence[Migration]) -> None:
        """Apply those that are not recorded yet, all or none. Other rooms may add theirs."""
        if self._pending(migrations):
            # One transaction, and asked again inside: whoever opens this home at the same moment waits, and
            # then sees all of the tables.
            with self._turn() as connection:
                self._apply(self._pending(migrations), connection)

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """A transaction to migrate in. While another process makes its backup inside of its own, this waits,
        however large the home; from then on as long as for any other writer."""
        with ExitStack() as stack:
            backups = Backups(self.path.parent)
            while True:
                copying = backups.busy
                try:
                    connection = stack.enter_context(self.transaction())
                    break
                except BusyHome:
                    if not copying and not backups.busy:
                        raise
            yield connection

    def _pending(self, migrations: Sequence[Migration]) -> list[Migration]:
        rooms = {_room(migration.name) for migration in migrations}
        known = {migration.name for migration in migrations}
        applied = self._applied()
        if any(name not in known and _room(name) in rooms for name in applied):
            raise NewerHome(self.path)
        return [migration for migration in migrations if migration.name not in applied]

    def _apply(self, pending: Sequence[Migration], connection: sqlite3.Connection) -> None:
        rooms = {_room(migration.name) for migration in pending}
        if self._before_migrating and any(_room(name) in rooms for name in self._applied()):
            before, self._before_migrating = self._before_migrating, None
            before(self)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at REAL NOT NULL) STRICT"
        )
        for name, sql in pending:
            for statement in _statements(sql):
                connection.execute(statement)
            connection.execute("INSERT INTO migration VALUES (?, ?)", (name, time.time()))

    def _applied(self) -> set[str]:
        if self.row("SELECT 1 FROM sqlite_master WHERE name = 'migration'") is None:
            return set()
        return {row["name"] for row in self.rows("SELECT name FROM migration")}

    def erasures(self) -> int:
        """How often something was erased for good: what an older copy of this file still holds."""
        with self._translated(), self.using() as connection:
            return erasures_in(connection)

    def check(self) -> list[str]:
        """What is wrong with the file, a sentence each; empty when it is sound."""
        try:
            found = [row[0] for row in self.rows("PRAGMA integrity_check")]
            broken = self.rows("PRAGMA foreign_key_check")
        except AttuneError as error:
            return [str(error)]
        wrong = [] if found == ["ok"] else [f"SQLite says: {line}" for line in found[:5]]
        if broken:
            wrong.append(f"{len(broken)} rows point at rows that are gone.")
        return wrong

    def scrub(self) -> bool:
        """Empty the write-ahead log and delete the backups that hold what was erased since they were made, so
        that deleted text does not linger there; True when the log is empty.

        Inside a transaction this does nothing: whoever holds that one scrubs at its end. While another
        process reads, the log is emptied by a later checkpoint.
        """
        if self.connection().in_transaction:
            return False
        [(busy, *_)] = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        Backups(self.path.parent).sweep(self.erasures())
        return not busy

    def close(self) -> None:
        """Close the connections of all threads, each at the end of what it does. Closing twice is fine.

        One that is still in use after BUSY_SECONDS is left to its thread.
        """
        self._closed = True
        with self._lock:
            opened, self._opened = self._opened, []
        for own in opened:
            if own.in_use.acquire(timeout=BUSY_SECONDS):
                try:
                    own.connection.close()
                finally:
                    own.in_use.release()
        held, self._held = self._held, None
        if held is not None and self._pid == os.getpid():
            os.close(held)

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.path)


def hold(path: Path) -> int | None:
    """Hold the folder of a database, with everybody else who uses it; close the handle to let go.

    Waits for whoever restores the database at this moment. Raises DatabaseError.
    """
    try:
        return lock_folder(path.parent, alone=False, seconds=BUSY_SECONDS)
    except TimeoutError as error:
        raise BusyHome(path) from error
    except OSError as error:
        raise sentence(error, path) from error


def open_home(home: Path) -> Database:
    """Create the home's folders where they are missing and open its database.

    Before tables that hold something are changed by a newer Attune, a backup is made. Raises ReadOnlyHome,
    FullHome, DamagedDatabase, NewerHome or DatabaseError; see restore.py for who mends what is damaged.
    """
    home = Path(home).expanduser()
    database = home / "attune.db"
    with writing(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(home, os.W_OK | os.X_OK):
        raise ReadOnlyHome(home)
    finish_swap(home)
    held = hold(database)  # somebody may be erasing the home: then its folders are made after that
    try:
        with writing(home):
            for name in FOLDERS:
                (home / name).mkdir(exist_ok=True, mode=0o700)
        return Database(database, lambda db: Backups(home).make(db, seconds=BUSY_SECONDS))
    finally:
        if held is not None:
            os.close(held)


def _room(migration: str) -> str:
    return migration.split("-")[0]


def _patiently(connection: sqlite3.Connection, sql: str) -> None:
    """Execute, and wait for others as long as SQLite would: it does not wait, whatever its busy timeout, for
    somebody who turns the same new file to WAL (a lock is raised there, and two who waited would do so for
    ever). Raises sqlite3.Error."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(sql)
            return
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= until:
                raise
        time.sleep(POLL_SECONDS)


def _statements(sql: str) -> Iterator[str]:
    """Split a script at its statement ends. (`executescript` would commit the transaction it is in.)"""
    statement = ""
    for piece in re.split("(?<=;)", sql):
        statement += piece  # a semicolon may also stand inside a string or a trigger
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
