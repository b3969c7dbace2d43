"""A look at the database file before it is used, bounded in time."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# SQLite counts virtual machine steps between two looks at the clock.
STEPS = 20_000
# A file up to this size is always looked at to its end: 0.1 s or so.
SMALL_BYTES = 64_000_000


def looks_wrong(path: Path, seconds: float | None) -> bool:
    """True when SQLite finds the file damaged.

    Of a file above SMALL_BYTES, tables that it does not come to within `seconds` are left out; they are
    looked at when a backup is made, since every copy is checked in full. With None the check is complete:
    indexes against tables, and rows against those that they point at.
    """
    try:
        # only to read: closing the last connection that may write would empty the log into a damaged file
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as looked:
            if seconds is None:
                sound = looked.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
                return not sound or bool(looked.execute("PRAGMA foreign_key_check").fetchmany(1))
            large = path.stat().st_size > SMALL_BYTES
            until = time.monotonic() + (seconds if large else float("inf"))
            looked.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            tables = looked.execute("PRAGMA table_list").fetchall()
            for _, name, kind, *_ in tables:
                if kind not in ("table", "shadow") or name == "sqlite_temp_schema":
                    continue
                if time.monotonic() > until:
                    break
                quoted = '"' + name.replace('"', '""') + '"'
                found = looked.execute(f"PRAGMA quick_check({quoted})").fetchall()
                if found != [("ok",)]:
                    return True
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED
    return False
