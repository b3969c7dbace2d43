"""Copies one SQLite database into another by its online backup call, and checks a copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from memory.errors import DatabaseError

# 4 MB at a time: a writer waits for one such step at most, a millisecond or two.
STEP_PAGES = 1_024
# After so many pages copied in vain, for each page there is, the rest is copied in one step.
PATIENCE = 3


class NoBackup(DatabaseError):
    """No copy was made, and nothing else changed; the sentence says why."""


def in_steps(source: sqlite3.Connection, target: sqlite3.Connection, cancelled: Callable[[], bool]) -> None:
    """SQLite's online backup (sqlite.org/backup.html), a few pages at a time. Raises NoBackup if stopped."""
    copied, before = 0, -1

    def after_step(status: int, remaining: int, total: int) -> None:
        nonlocal copied, before
        if cancelled():
            raise NoBackup("The backup was stopped; the next idle moment makes it.")
        copied += STEP_PAGES
        if remaining > before >= 0 and copied > PATIENCE * total:
            raise _Restless
        before = remaining

    try:
        source.backup(target, pages=STEP_PAGES, progress=after_step)
    except _Restless:
        # Somebody writes all the time. One step reads one state of the file; writers do not wait for it.
        source.backup(target)


class _Restless(Exception):
    """The copy was begun anew too often."""


def faults_of(path: Path) -> list[str]:
    """What SQLite finds wrong with a copy, in full; [] when it is sound and holds Attune's tables."""
    try:
        # immutable: nobody writes to a copy, and reading it must leave no file beside it
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as copy:
            found = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(5)")]
            copy.execute("SELECT name FROM migration").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def erasures_in(connection: sqlite3.Connection) -> int:
    """How often something was erased for good; 0 in a database from before that was counted."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'erasures'").fetchone() is None:
        return 0
    row = connection.execute("SELECT count FROM erasures").fetchone()
    return int(row[0]) if row else 0
