"""Erasing a home whole: every file that Attune wrote there, overwritten and deleted."""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path

from memory.errors import AttuneError, DatabaseError, NotFound
from memory.files import locked
from memory.forgetting import oblivion
from memory.forgetting.erase import GLANCE_SECONDS, LOCK, folder
from memory.text import quoted

# Only what Attune writes: a home may be any folder that the person named.
STATE_FILES = ("attune.db*", "config.toml")
STATE_FOLDERS = ("index", "adapters", "backups", "logs", "training", "imports")
# By any of these a folder is a home, also when the database itself is gone: the next start would restore it
# from a backup. Names that only Attune gives; a folder `logs` or `backups` alone may be anybody's.
DATED = "[0-9]*-[0-9]*-[0-9]*-[0-9]*.db*"
SIGNS = (
    "attune.db", "attune.db-wal", "attune.db-shm", f"backups/attune-{DATED}", f"backups/damaged-{DATED}",
    f"backups/restored-{DATED}", "logs/attune.log*",
)  # fmt: skip
OPEN = "Attune is open in this home; close it, then erase."


def erase_home(home: Path) -> list[Path]:
    """Delete all state of a home; what was deleted. Close its Database first; other files stay.

    Raises AttuneError while an update writes to the home, or when a file cannot be deleted.
    """
    home = Path(home).expanduser()
    if not any(True for sign in SIGNS for _ in home.glob(sign)):
        raise NotFound(f"{quoted(str(home))} is not a home of Attune; nothing was deleted.")
    try:
        # to the end: who opens the home meanwhile would write to files that go
        with locked(home, alone=True, seconds=GLANCE_SECONDS):
            _alone(home)
            return _erased(home)
    except TimeoutError as error:
        raise AttuneError(OPEN) from error
    except OSError as error:
        raise DatabaseError(
            f"{error.filename or home} could not be deleted ({error.strerror}); see its permissions."
        ) from error


def _erased(home: Path) -> list[Path]:
    deleted: list[Path] = []
    with (home / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AttuneError(
                "An update is running in this home; cancel it or wait for it, then erase."
            ) from error
        for name in STATE_FOLDERS:
            if (home / name).is_dir():
                folder(home / name)
                deleted.append(home / name)
        for path in sorted(one for name in STATE_FILES for one in home.glob(name) if one.is_file()):
            oblivion.shred(path)
            deleted.append(path)
        (home / LOCK).unlink()
    return deleted


def _alone(home: Path) -> None:
    """Raises AttuneError while a process that holds no lock on the home has the database open: it would go on
    writing."""
    if not (home / "attune.db").is_file():  # asking SQLite would make it
        return
    try:
        connection = sqlite3.connect(home / "attune.db", timeout=0.5, isolation_level=None)
        try:
            # leaving WAL needs the file for oneself
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise AttuneError(OPEN) from error
    except sqlite3.DatabaseError:
        pass  # a damaged file is deleted as well
