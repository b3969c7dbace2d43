"""A damaged database is set aside and put together anew: the newest backup, and what can still be read.

Nothing of the damaged file is changed: it is read in a copy, and lies in HOME/backups as `damaged-…` until
something is forgotten, which must reach it too. The new file is written and checked under another name;
once it is called `restored-…` the swap is certain: whoever opens the home next finishes it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

from memory.database import Database, hold, open_home
from memory.errors import BusyHome, NothingToRestore
from memory.files import delete_folder, link, sync
from memory.rescue.backups import WORK, Backup, Backups, stamp
from memory.rescue.copying import erasures_in, faults_of, in_steps
from memory.rescue.damaged_file import copy_readable, lend_schema, open_damaged
from memory.rescue.salvage import WORDS, Salvaged, copy_schema, merge
from memory.rescue.soundness import looks_wrong
from memory.rescue.swap import alone, finish_swap, ready, swap
from memory.sentences import translated, writing

SIDES = ("", "-wal")


def open_safely(home: Path, seconds: float = 0.3) -> tuple[Database, list[str]]:
    """`open_home`, after a look at the database for at most about `seconds`: restored if it is damaged.

    Also what the person must be told, a sentence each; who started at the same moment and had it restored
    tells it. Raises as open_home does, NothingToRestore, or BusyHome when another process has the damaged
    database open.
    """
    home, said = Path(home).expanduser(), []
    if home.is_dir():
        try:
            finish_swap(home)
            if _wrong(home, seconds):
                said += restore(home)
        except BusyHome:
            if ready(home) or _wrong(home, seconds):
                raise  # else whoever has it open has restored it
    db = open_home(home)
    try:
        Backups(home).sweep(db.erasures())  # a process may have died between a forgetting and this
    except BaseException:
        db.close()
        raise
    return db, said


def restore(home: Path) -> list[str]:
    """Set the database aside and put a sound one in its place; what is missing, as one sentence. Nothing is
    done or said when a look at all of it finds that somebody else did it meanwhile.

    Raises NothingToRestore, BusyHome, FullHome or another DatabaseError; the home is then as it was.
    """
    database, backups = home / "attune.db", Backups(home)
    with alone(home):
        if not _damaged(home, None):
            return []
        with writing(home):
            backups.folder.mkdir(exist_ok=True, mode=0o700)
            work = backups.folder / f"{WORK}{stamp(time.time())}"
            work.mkdir(mode=0o700)
        try:
            with writing(home), translated(database):
                backup, found = _put_together(database, backups, work)
                erasures = _erasures(work / "new.db")
                label = f"{stamp(time.time())}-{erasures}.db"
                for side in SIDES:
                    there = database.with_name(database.name + side)
                    if there.exists() and there.stat().st_size:
                        link(there, backups.folder / f"damaged-{label}{side}")
                (work / "new.db").rename(backups.folder / f"restored-{label}")
                sync(backups.folder)
        finally:
            delete_folder(work)
        swap(home)
        backups.clear_suspicion()
    return [_sentence(backups.folder / f"damaged-{label}", backup, found)]


def _wrong(home: Path, seconds: float) -> bool:
    """`_damaged`, once nobody restores or erases it."""
    held = hold(home / "attune.db")
    try:
        return _damaged(home, seconds)
    finally:
        if held is not None:
            os.close(held)


def _damaged(home: Path, seconds: float | None) -> bool:
    """Is the database damaged, or gone though there are backups of it? The home must be held."""
    database, backups = home / "attune.db", Backups(home)
    if not database.exists() or not database.stat().st_size:
        return bool(backups.all())
    if not backups.suspect:
        return looks_wrong(database, seconds)
    if wrong := looks_wrong(database, None):
        return wrong
    backups.clear_suspicion()
    return False


def _put_together(database: Path, backups: Backups, work: Path) -> tuple[Backup | None, Salvaged]:
    """Write work/new.db from the newest sound backup and what can be read of the damaged database."""
    new, old = work / "new.db", work / "old.db"
    backup = next((one for one in backups.all() if not faults_of(one.path)), None)
    for side in SIDES:
        if (there := database.with_name(database.name + side)).exists():
            copy_readable(there, old.with_name(old.name + side))
    if backup is not None:
        with (
            closing(sqlite3.connect(f"{backup.path.absolute().as_uri()}?immutable=1", uri=True)) as source,
            closing(sqlite3.connect(new, isolation_level=None)) as target,
        ):
            in_steps(source, target, lambda: False)
        lend_schema(backup.path, old)
    found = Salvaged(unsure=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as target:
        target.execute("PRAGMA synchronous = OFF")
        damaged = open_damaged(old)
        if damaged is not None:
            with closing(damaged):
                if backup is None and not copy_schema(damaged, target):
                    Database(new).close()
                found = merge(damaged, target)
    if backup is None and not _holds_something(new):
        raise NothingToRestore(database)
    Database(new).close()  # with what a newer Attune added to the tables
    with closing(sqlite3.connect(new, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = DELETE")
    if faults := faults_of(new):
        raise sqlite3.DatabaseError(f"what was put together is not sound: {faults[0]}")
    sync(new)
    return backup, found


def _holds_something(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        try:
            return any(connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in WORDS)
        except sqlite3.Error:
            return False


def _erasures(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return erasures_in(connection)


def _sentence(aside: Path, backup: Backup | None, found: Salvaged) -> str:
    """What happened and what is missing, e.g. "… 3 messages and 1 rating after 21 Nov 14:03 are missing."."""
    if aside.exists():
        said = f"The database was damaged and is set aside as {aside}; "
    else:
        said = "The database was gone; "
    since = "" if backup is None else f" after {moment(backup.made_at)}"
    if backup is None:
        said += "there was no backup, so it was put together from what could be read of it: "
    else:
        said += f"the backup of {moment(backup.made_at)} is in its place"
        added = _listed(found.added)
        said += f" with {added} that could be read of it: " if added else ": "
    missing, stale = _listed(found.missing), ""
    if found.stale:
        those = _listed({"memory": found.stale})
        stale = (
            f"; {those} may have been corrected since, and {'is' if found.stale == 1 else 'are'} as before"
        )
    if found.unsure:
        known = f"at least {missing} are" if missing else "messages, ratings and memories may be"
        return f"{said}{known} missing{since}{stale}."
    if missing:
        return f"{said}{missing}{since} {'is' if sum(found.missing.values()) == 1 else 'are'} missing{stale}."
    return f"{said}nothing that was acknowledged is missing{stale}."


def _listed(counts: dict[str, int]) -> str:
    """E.g. "3 messages, 1 rating and 2 memories"; "" for nothing."""
    ones = {"messages": "message", "ratings": "rating", "memories": "memory"}
    parts = [
        f"{number} {ones[WORDS[name]] if number == 1 else WORDS[name]}"
        for name, number in counts.items()
        if number
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def moment(at: float) -> str:
    """Unix seconds in local time, e.g. "21 Nov 14:03"; with the year when it is not this one."""
    then = datetime.fromtimestamp(at)
    year = "" if then.year == datetime.now().year else f" {then.year}"
    return f"{then.day} {then:%b}{year} {then:%H:%M}"
