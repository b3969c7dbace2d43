"""What SQLite still reads in a damaged database, row by row, put into a sound one.

The sound one is the newest backup, or an empty database with the same tables. A row that only the damaged
one has is newer than the backup and is added; one that both have and that differs is taken as the damaged
one has it, but for what is never changed once it was written. A row that only the backup has may have been
deleted since, and goes, where the damaged one can be read to its end and
no loss can look like it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from memory.rescue.damaged_rows import Row, Table, has_table, indexed_ids, quoted, rows_of, tables_of
from memory.rescue.mending import make_whole

# Tables that a person would name, in the words of the person.
WORDS = {"message": "messages", "feedback": "ratings", "memory": "memories"}
# Written once: where both have the row, a text that was garbled in its place must not win.
NEVER_CHANGED = {"feedback", "generation", "shown"}
# Nothing leaves these but by forgetting, which is counted (`erasures`).
COUNTED = {"conversation", "message", "generation", "shown", "feedback", "memory"}


@dataclass(slots=True)
class Salvaged:
    """`added` rows of each of WORDS that the backup lacked; `missing` those known to be lost (their ids
    stand in an index still); `unsure` when more may be lost that nothing tells of; `stale` memories that
    hold in the backup and cannot be read in the damaged database, where they may have been corrected."""

    added: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    unsure: bool = False
    stale: int = 0


def copy_schema(old: sqlite3.Connection, new: sqlite3.Connection) -> bool:
    """Make the tables of `old` in the empty `new`; False, and nothing made, when they cannot be read."""
    try:
        kinds = {row[1]: row[2] for row in old.execute("PRAGMA table_list")}
        made = old.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        migrations = old.execute("SELECT name, applied_at FROM migration").fetchall()
    except sqlite3.Error:
        return False
    order = ("table", "index", "view", "trigger")
    new.execute("BEGIN")
    try:
        for _, name, sql in sorted(made, key=lambda one: order.index(one[0])):
            if not name.startswith("sqlite_") and kinds.get(name) != "shadow":
                new.execute(sql)
        new.executemany("INSERT INTO migration VALUES (?, ?)", migrations)
    except sqlite3.Error:
        new.execute("ROLLBACK")
        return False
    new.execute("COMMIT")
    return True


def merge(old: sqlite3.Connection, new: sqlite3.Connection) -> Salvaged:
    """Put what `old` (damaged) still holds into `new` (sound, in autocommit mode), in one transaction."""
    old.text_factory = bytes  # one garbled text must not end the reading of its table
    found = Salvaged(dict.fromkeys(WORDS, 0), dict.fromkeys(WORDS, 0))
    new.execute("PRAGMA foreign_keys = OFF")
    new.execute("BEGIN IMMEDIATE")
    erasures = _count(new, "erasures")
    before = {name: _ids(new, name) for name in WORDS}
    forgot = _count(old, "erasures") > erasures
    held = _holding(new)
    merged = {table.name: _merge_table(old, new, table, forgot) for table in tables_of(old, new)}
    readable = {name: whole for name, (whole, _) in merged.items()}
    make_whole(new)
    for name in WORDS:
        there = _ids(new, name)
        found.added[name] = len(there - before[name])
        indexed = indexed_ids(old, name)
        if indexed is not None:
            found.missing[name] = len(indexed - there)
        elif not readable.get(name, False):
            found.unsure = True
        if name == "memory" and name in merged:
            unread = held - {str(key[0]) for key in merged[name][1]}
            found.stale = len(unread if indexed is None else unread & indexed)
    # What was deleted here to make ends meet was not forgotten by anybody.
    if has_table(new, "erasures"):
        erasures = max(erasures, _count(old, "erasures") if readable.get("erasures") else 0)
        new.execute("UPDATE erasures SET count = ?", (erasures,))
    new.execute("COMMIT")
    return found


def _merge_table(
    old: sqlite3.Connection, new: sqlite3.Connection, table: Table, forgot: bool
) -> tuple[bool, set[Row]]:
    """(could every row of the damaged table be read, the keys of those that could)."""
    name, whole = quoted(table.name), True
    where = " AND ".join(f"{quoted(column)} IS ?" for column in table.key)
    places = [0 if column == "rowid" else table.columns.index(column) + 1 for column in table.key]
    names = ", ".join(map(quoted, table.columns))
    sets = ", ".join(f"{quoted(column)} = ?" for column in table.columns)
    seen: set[Row] = set()
    refused: list[tuple[str, Row]] = []

    def write(sql: str, values: Sequence[Any]) -> None:
        try:
            new.execute(sql, tuple(values))
        except sqlite3.IntegrityError:
            refused.append((sql, tuple(values)))

    for row in rows_of(old, table):
        if row is None:
            whole = False
            continue
        key = tuple(row[at] for at in places)
        if key in seen:
            continue
        seen.add(key)
        there = new.execute(f"SELECT {names} FROM {name} WHERE {where}", key).fetchone()
        if there is None:
            marks = ", ".join("?" * len(table.columns))
            if table.rowid and "rowid" not in table.key and _free(new, name, row[0]):
                write(f"INSERT INTO {name} (rowid, {names}) VALUES (?, {marks})", row)
            else:
                write(f"INSERT INTO {name} ({names}) VALUES ({marks})", row[1:])
        elif tuple(there) != row[1:] and table.name not in NEVER_CHANGED:
            if table.name == "message":
                _newer_message(write, table, there, row, where, key)
            else:
                write(f"UPDATE {name} SET {sets} WHERE {where}", (*row[1:], *key))
    # A page that was emptied by mistake looks like a table that was emptied on purpose.
    if whole and seen and (forgot or table.name not in COUNTED):
        keys = ", ".join(column if column == "rowid" else quoted(column) for column in table.key)
        gone = [tuple(key) for key in new.execute(f"SELECT {keys} FROM {name}") if tuple(key) not in seen]
        new.executemany(f"DELETE FROM {name} WHERE {where}", gone)
    # Two rows may have swapped what only one of them may hold: in the end both fit.
    for sql, values in refused:
        try:
            new.execute(sql, values)
        except sqlite3.IntegrityError:
            whole = False
    return whole, seen


def _newer_message(
    write: Callable[[str, Sequence[Any]], None], table: Table, there: Row, row: Row, where: str, key: Row
) -> None:
    """Of a message only `sent` is written later than the rest."""
    if "sent" in table.columns:
        at = table.columns.index("sent")
        if there[at] is None and row[at + 1] is not None:
            write(f"UPDATE message SET sent = ? WHERE {where}", (row[at + 1], *key))


def _holding(new: sqlite3.Connection) -> set[str]:
    if not has_table(new, "memory"):
        return set()
    return {row[0] for row in new.execute("SELECT id FROM memory WHERE valid_to IS NULL")}


def _ids(new: sqlite3.Connection, table: str) -> set[str]:
    return {row[0] for row in new.execute(f"SELECT id FROM {table}")} if has_table(new, table) else set()


def _count(connection: sqlite3.Connection, table: str) -> int:
    try:
        row = connection.execute(f"SELECT count FROM {table}").fetchone()
    except sqlite3.Error:
        return 0
    return int(row[0]) if row else 0


def _free(new: sqlite3.Connection, name: str, rowid: int) -> bool:
    return new.execute(f"SELECT 1 FROM {name} WHERE rowid = ?", (rowid,)).fetchone() is None
