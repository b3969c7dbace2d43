"""Opens a copy of a damaged database in the ways in which SQLite may still read some of it."""

from __future__ import annotations

import errno
import sqlite3
from io import FileIO
from pathlib import Path

# The format is described at sqlite.org/fileformat.html.
HEADER = 100  # bytes at the beginning of page 1
BLOCK = 4_096  # a page of the database, and at least a sector of a disk
ATTEMPTS = 3
INTERIOR = 5  # the kind of a page of a table that only points at others


def copy_readable(source: Path, target: Path) -> None:
    """Copy block by block; a block that the disk does not give any more becomes zeros. Raises OSError."""
    size = source.stat().st_size
    with source.open("rb", buffering=0) as old, target.open("wb") as new:
        for start in range(0, size, BLOCK):
            new.write(_read(old, start, min(BLOCK, size - start)))


def _read(old: FileIO, start: int, length: int) -> bytes:
    for _ in range(ATTEMPTS):
        try:
            old.seek(start)
            return old.read(length).ljust(length, b"\0")
        except OSError as error:
            if error.errno != errno.EIO:
                raise
    return bytes(length)


def open_damaged(copy: Path) -> sqlite3.Connection | None:
    """A connection that reads what can be read of the copy; None when not even its list of tables can."""
    if not copy.exists():
        return None
    connection = sqlite3.connect(copy, isolation_level=None)
    try:
        # a file that was cut short, or a broken line of the schema, is no reason to refuse all of it
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.Error:
        connection.close()
        return None
    return connection


def lend_schema(backup: Path, copy: Path) -> None:
    """Where the list of tables cannot be read in `copy`, put the backup's pages of it in their place: as long
    as the tables are those of the backup, it stands on the same pages and points at the same ones."""
    if not copy.exists():
        return
    if (readable := open_damaged(copy)) is not None:
        readable.close()
        return
    body = backup.read_bytes()
    page = int.from_bytes(body[16:18], "big")
    page = 65_536 if page == 1 else page
    size = copy.stat().st_size
    with copy.open("r+b") as file:
        for number in _leaves_and_all(body, page, 1):
            lent = bytearray(body[(number - 1) * page : number * page])
            if number == 1:
                lent[18:20] = b"\x02\x02" if copy.with_name(copy.name + "-wal").exists() else b"\x01\x01"
                lent[28:32] = (size // page).to_bytes(4, "big")  # pages in the file
                lent[32:40] = bytes(8)  # no list of free pages: nothing is written here
            if number * page <= size:
                file.seek((number - 1) * page)
                file.write(lent)


def _leaves_and_all(body: bytes, page: int, number: int) -> list[int]:
    """The pages (from 1) of the table b-tree whose root is `number`, in a sound file."""
    start = (number - 1) * page
    at = start + (HEADER if number == 1 else 0)
    if body[at] != INTERIOR:
        return [number]
    cells = int.from_bytes(body[at + 3 : at + 5], "big")
    places = [int.from_bytes(body[at + 12 + 2 * one : at + 14 + 2 * one], "big") for one in range(cells)]
    below = [start + place for place in places] + [at + 8]
    children = [int.from_bytes(body[place : place + 4], "big") for place in below]
    return [number, *(inner for child in children for inner in _leaves_and_all(body, page, child))]
