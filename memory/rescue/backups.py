"""Copies of the database under HOME/backups: made by SQLite's own backup call, checked, rotated.

A copy is written under a hidden name, checked in full, synced, and only then named

    attune-<UTC date>-<time>-<microseconds>-<erasures>.db

so that a file of that name is whole. `erasures` is how often something had been erased for good when the
copy was made. A copy with an older count holds something that was forgotten since: it is deleted by the
forgetting itself (Database.scrub) and, if the process died before that, by the next start.

What is kept: the newest three, then the newest of each of the last seven days, then of the last four weeks.
"""

from __future__ import annotations

import calendar
import os
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memory.errors import AttuneError, DamagedDatabase
from memory.files import GONE, delete, delete_folder, locked, sync
from memory.rescue.copying import NoBackup, erasures_in, faults_of, in_steps
from memory.sentences import translated, writing

if TYPE_CHECKING:
    from memory.database import Database

__all__ = ["Backup", "Backups", "NoBackup", "erasures_in", "faults_of", "kept", "stamp"]

NAME = re.compile(r"attune-(\d{8}-\d{6})-(\d{6})-(\d+)\.db")
HIDDEN = ".making-"
# Folders in which a damaged database is put together (restore.py).
WORK = "restoring-"
# An empty file with this name asks the next start for a full check, however long that takes.
SUSPECT = "suspect"
DAY, WEEK = 86_400.0, 7 * 86_400.0
NEWEST, DAYS, WEEKS = 3, 7, 4
SPARE_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole copy. `made_at` is in Unix seconds; `erasures` as in the name."""

    path: Path
    made_at: float
    erasures: int


class Backups:
    """The copies of one home. Safe to use from several threads and processes."""

    def __init__(self, home: Path) -> None:
        self.home = Path(home)
        self.folder = self.home / "backups"

    def all(self) -> list[Backup]:
        """Newest first. Copies "of tomorrow", from when the clock ran ahead, stand behind all others: nobody
        knows how old they are, and those that were made since are newer."""
        now = time.time()
        found = [_named(path) for path in self._files()]
        there = [one for one in found if one is not None]
        return sorted(there, key=lambda one: (one.made_at <= now, one.made_at), reverse=True)

    def due(self, db: Database, now: float | None = None) -> bool:
        """True when something is worth a copy and none was made within a day, or ever."""
        now = time.time() if now is None else now
        # a clock that was set back must not stop the copies: those "of tomorrow" do not count
        made = [one.made_at for one in self.all() if one.made_at <= now]
        if any(now - at < DAY for at in made):
            return False
        if db.row("SELECT 1 WHERE EXISTS (SELECT 1 FROM message) OR EXISTS (SELECT 1 FROM memory)") is None:
            return False
        return not made or _changed_at(db.path) > max(made)

    def make(
        self, db: Database, cancelled: Callable[[], bool] = lambda: False, seconds: float = 0.0
    ) -> Backup:
        """Copy, check, name, and rotate. Raises NoBackup, FullHome or another DatabaseError sentence;
        DamagedDatabase when the copy shows that the database itself is damaged.

        Readers and writers go on meanwhile: it is copied in small steps, and SQLite starts it over when
        something is written in between. It waits at most `seconds` for another one of this home.
        """
        with writing(self.home):
            self.folder.mkdir(exist_ok=True, mode=0o700)
        try:
            with locked(self.folder, alone=True, seconds=seconds):
                return self._make(db, cancelled)
        except TimeoutError as busy:
            raise NoBackup("Another process is making a backup of this home; this one is left out.") from busy
        except DamagedDatabase:
            self.suspect_damage()
            raise

    @property
    def busy(self) -> bool:
        """Is anybody making a copy, or sweeping, just now?"""
        try:
            with locked(self.folder, alone=False, seconds=0.0):
                return False
        except TimeoutError:
            return True
        except OSError:
            return False

    def _make(self, db: Database, cancelled: Callable[[], bool]) -> Backup:
        self._sweep_hidden()
        self._room_for(db.path.stat().st_size)
        hidden = self.folder / f"{HIDDEN}{uuid.uuid4().hex}.db"
        try:
            with writing(self.home):
                hidden.touch(mode=0o600)
                erasures = self._copy(db, hidden, cancelled)
                sync(hidden)
                made = _named(self.folder / _name(time.time(), erasures))
                assert made is not None
                hidden.rename(made.path)
                sync(self.folder)
        except FileNotFoundError as gone:
            raise _outdated() from gone
        finally:
            hidden.unlink(missing_ok=True)
            hidden.with_name(hidden.name + "-journal").unlink(missing_ok=True)
        # Asked again now that the copy has its name: who forgot before this has not seen that name.
        if db.erasures() != erasures:
            delete(made.path)
            raise _outdated()
        self.rotate(made.made_at)
        return made

    def _copy(self, db: Database, target: Path, cancelled: Callable[[], bool]) -> int:
        """Copy into `target` and check it; the count of erasures in the copy."""
        with (
            translated(db.path),
            closing(db.connect()) as source,  # one that is in a transaction, to migrate, cannot be copied
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            copy.execute("PRAGMA synchronous = OFF")  # synced as a whole at its end
            in_steps(source, copy, cancelled)
            # One plain file, which opens without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            faults = [row[0] for row in copy.execute("PRAGMA integrity_check(5)")]
            if faults != ["ok"]:
                raise DamagedDatabase(db.path)
            return erasures_in(copy)

    def rotate(self, now: float) -> list[Path]:
        """Delete what the rule at the top of this file does not keep; what was deleted."""
        there = self.all()
        keep = kept([one.made_at for one in there], now)
        return self._delete(one.path for one in there if one.made_at not in keep)

    def sweep(self, erasures: int) -> list[Path]:
        """Delete the copies, and what was set aside, from before the last of so many erasures, and what dead
        processes left half made or half deleted: what was deleted.

        Call it with the database open: then nobody restores it. Raises DatabaseError.
        """
        try:
            with locked(self.folder, alone=True, seconds=0.0):
                self._sweep_hidden()
        except TimeoutError:
            pass  # a copy is being made, which has swept, and which looks for erasures itself
        except FileNotFoundError:
            return []
        stale = [one.path for one in self.all() if one.erasures < erasures]
        marks = [one for one in self._files() if _set_aside_at(one) is not None]
        stale += [one for one in marks if (_set_aside_at(one) or 0) < erasures]
        return self._delete(stale)

    def forget_all(self) -> list[Path]:
        """Delete every copy, the files of a damaged database that were set aside, and all else in the
        folder; what was deleted. Raises DatabaseError. The next idle moment makes a new copy."""
        self._sweep_work()
        return self._delete(self._files())

    def set_aside(self) -> list[Path]:
        """The databases that were found damaged and put away here, newest first."""
        there = [path for path in self._files() if path.name.startswith("damaged-") and path.suffix == ".db"]
        return sorted(there, reverse=True)

    @property
    def suspect(self) -> bool:
        """Has a copy shown that the database is damaged? Then the next start checks it in full."""
        return (self.folder / SUSPECT).exists()

    def suspect_damage(self) -> None:
        with writing(self.home):
            (self.folder / SUSPECT).touch()

    def clear_suspicion(self) -> None:
        with writing(self.home):
            (self.folder / SUSPECT).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.is_file() and not path.is_symlink()]
        except OSError:
            return []

    def _delete(self, paths: Iterable[Path]) -> list[Path]:
        with writing(self.home):
            gone = [path for path in paths if delete(path)]
            if gone:
                sync(self.folder)
        return gone

    def _sweep_hidden(self) -> None:
        """What a process that died left half made or half deleted; the lock says that nobody is at it."""
        self._delete(path for path in self._files() if path.name.startswith((HIDDEN, GONE)))
        self._sweep_work()

    def _sweep_work(self) -> None:
        with writing(self.home):
            for path in self.folder.glob(f"{WORK}*"):
                delete_folder(path)

    def _room_for(self, size: int) -> None:
        with writing(self.home):
            free = shutil.disk_usage(self.folder).free
        if free < size + SPARE_BYTES:
            raise NoBackup(
                f"The disk that holds {self.home} is too full for a backup "
                f"({(size + SPARE_BYTES) / 1e6:.0f} MB are needed); free some space."
            )


def kept(times: Iterable[float], now: float) -> set[float]:
    """Which of these moments (Unix seconds) the rotation keeps at `now`; days and weeks are those of UTC."""
    newest = sorted(times, reverse=True)
    keep = set(newest[:NEWEST])
    for length, count in ((DAY, DAYS), (WEEK, WEEKS)):
        latest: dict[int, float] = {}
        for at in newest:
            latest.setdefault(int(at // length), at)
        keep |= {at for span, at in latest.items() if span > int(now // length) - count}
    return keep


def stamp(at: float) -> str:
    """A moment (Unix seconds) as it stands in file names, in UTC."""
    micro = round(at * 1e6)
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(micro // 1_000_000))}-{micro % 1_000_000:06d}"


def _name(at: float, erasures: int) -> str:
    return f"attune-{stamp(at)}-{erasures}.db"


def _named(path: Path) -> Backup | None:
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    try:
        seconds = calendar.timegm(time.strptime(found[1], "%Y%m%d-%H%M%S"))
    except ValueError:
        return None
    return Backup(path, seconds + int(found[2]) / 1e6, int(found[3]))


def _set_aside_at(path: Path) -> int | None:
    """The count of erasures when a damaged database was set aside under this name."""
    found = re.fullmatch(r"damaged-\d{8}-\d{6}-\d{6}-(\d+)\.db(-wal)?", path.name)
    return None if found is None else int(found[1])


def _changed_at(path: Path) -> float:
    latest = 0.0
    for name in (path.name, f"{path.name}-wal"):
        try:
            latest = max(latest, os.stat(path.with_name(name)).st_mtime)
        except OSError:
            continue
    return latest


def _outdated() -> AttuneError:
    return NoBackup("Something was forgotten while the backup was made; the next idle moment makes it anew.")
