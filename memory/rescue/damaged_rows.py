"""Rows of a damaged database: every one that SQLite still reads, however much lies broken between them."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]

# Reads that fail, for each table, before what is left between them is given up.
FAILURES = 2_000
LARGEST = 2**40


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are those that both databases have, `key` the ones that name a row, `texts` which of the
    columns are text. `rowid` is False for a table WITHOUT ROWID."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    texts: tuple[bool, ...]
    rowid: bool


def rows_of(old: sqlite3.Connection, table: Table) -> Iterator[Row | None]:
    """Every readable row as (rowid or None, *columns); None stands for a place that cannot be read."""
    if table.rowid:
        yield from _by_rowid(old, table)
    else:
        yield from _from_both_ends(old, table)


def _by_rowid(old: sqlite3.Connection, table: Table) -> Iterator[Row | None]:
    """Scan up to the first damage and down to the last; then look for sound pages between the two by
    halving, the widest gaps first."""
    names = ", ".join(map(quoted, table.columns))
    select = f"SELECT rowid, {names} FROM {quoted(table.name)} NOT INDEXED WHERE rowid BETWEEN ? AND ?"
    gaps, failures = deque([(-1, _largest(old))]), 0
    while gaps and failures < FAILURES:
        low, high = gaps.popleft()
        reached = low - 1
        try:
            for row in old.execute(f"{select} ORDER BY rowid", (low, high)):
                reached = row[0]
                yield _decoded(row, table)
            continue
        except sqlite3.Error:
            failures += 1
            yield None
        top = high + 1
        try:
            for row in old.execute(f"{select} ORDER BY rowid DESC", (reached + 1, high)):
                top = row[0]
                yield _decoded(row, table)
            continue
        except sqlite3.Error:
            failures += 1
        if top - reached > 2:
            middle = (reached + top) // 2
            gaps += [(reached + 1, middle), (middle + 1, top - 1)]


def _largest(old: sqlite3.Connection) -> int:
    """No rowid that was counted up is larger: a row takes eight bytes or more."""
    try:
        [(pages,)] = old.execute("PRAGMA page_count").fetchall()
        [(size,)] = old.execute("PRAGMA page_size").fetchall()
    except sqlite3.Error:
        return LARGEST
    return max(int(pages) * int(size) // 8, 1_000)


def _from_both_ends(old: sqlite3.Connection, table: Table) -> Iterator[Row | None]:
    names = ", ".join(map(quoted, table.columns))
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{quoted(name)} {direction}" for name in table.key)
        try:
            for row in old.execute(f"SELECT NULL, {names} FROM {quoted(table.name)} ORDER BY {order}"):
                yield _decoded(row, table)
            return
        except sqlite3.Error:
            yield None


def _decoded(row: Row, table: Table) -> Row | None:
    """The row with its texts as str; None when one is garbled: no UTF-8, or a zero byte, which none has."""
    values = list(row)
    for at, is_text in enumerate(table.texts, start=1):
        value = values[at]
        if isinstance(value, bytes) and is_text:
            if b"\0" in value:
                return None
            try:
                values[at] = value.decode()
            except UnicodeDecodeError:
                return None
    return tuple(values)


def tables_of(old: sqlite3.Connection, new: sqlite3.Connection) -> list[Table]:
    """Those of `new` that hold something of their own, but for its list of migrations."""
    found = []
    for _, name, kind, _, without_rowid, *_ in new.execute("PRAGMA table_list").fetchall():
        if kind != "table" or name.startswith("sqlite_") or name == "migration":
            continue
        info = new.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
        try:
            known = {row[1] for row in old.execute(f"PRAGMA table_info({quoted(name)})").fetchall()}
        except sqlite3.Error:
            known = set()
        known = {one.decode() if isinstance(one, bytes) else one for one in known} or {row[1] for row in info}
        columns = [row for row in info if row[1] in known]
        key = tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]) or ("rowid",)
        found.append(
            Table(
                name,
                tuple(row[1] for row in columns),
                key,
                tuple(row[2].upper() == "TEXT" for row in columns),
                not without_rowid,
            )
        )
    return found


def indexed_ids(old: sqlite3.Connection, table: str) -> set[str] | None:
    """The ids that their index names, also those of rows that cannot be read; None when
    that index cannot be read to its end."""
    try:
        found = old.execute(f"SELECT id FROM {table} INDEXED BY sqlite_autoindex_{table}_1 ORDER BY id")
        return {row[0].decode() if isinstance(row[0], bytes) else row[0] for row in found}
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def has_table(new: sqlite3.Connection, table: str) -> bool:
    return new.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
