"""What SQLite and the system say, as one sentence each that says what to do."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.errors import (
    AttuneError,
    BusyHome,
    DamagedDatabase,
    DatabaseError,
    FailingDisk,
    FullHome,
    ReadOnlyHome,
)

NOTHING_LEFT = 100_000  # bytes


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever SQLite says inside about the database at `path` becomes a DatabaseError sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise sentence(error, path) from error


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Whatever the system refuses inside (a full disk, no permission) becomes a DatabaseError sentence."""
    try:
        yield
    except OSError as error:
        raise sentence(error, home / "attune.db") from error


def _is_full(home: Path) -> bool:
    try:
        return shutil.disk_usage(home).free < NOTHING_LEFT
    except OSError:
        return False


def sentence(error: Exception, path: Path) -> AttuneError:
    """The error of SQLite or the system as one sentence that says what to do."""
    home, said = path.parent, str(error)
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return FullHome(home)
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return ReadOnlyHome(home)
        if error.errno == errno.EIO:
            return FailingDisk(home)
        place = error.filename or home
        return DatabaseError(
            f"{place} cannot be used ({error.strerror}); move it away or choose another home."
        )
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return FullHome(home)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ReadOnlyHome(home)
    if code == sqlite3.SQLITE_IOERR:
        # the shared memory of the log has no code of its own for a full disk
        return FullHome(home) if _is_full(home) else FailingDisk(home)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusyHome(path)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedDatabase(path)
    return DatabaseError(f"The database {path} refused the work ({said}); run `attune doctor`.")
