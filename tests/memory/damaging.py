"""Ways in which a disk ruins a database file, and homes for them to happen to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from memory.database import open_home
from memory.facts import Facts
from memory.journal import Journal
from tests.support import generation

PAGE = 4096
LONG = "word " * 120


def fill(home: Path, name: str, turns: int) -> set[str]:
    """A conversation of `turns`, each with a rated reply and a memory; the ids of all of these."""
    db = open_home(home)
    journal, facts = Journal(db), Facts(db)
    talk, last, ids = journal.start_conversation(name), None, set()
    for number in range(turns):
        asked = journal.add_user(talk.id, last, f"{name} {number} {LONG}")
        reply = journal.add_reply(talk.id, asked.id, f"answer {number} {LONG}", generation())
        rated = journal.rate(reply.id, 1 if number % 2 else -1)
        ids |= {asked.id, reply.id, rated.id, facts.remember(f"{name} fact {number}").id}
        last = reply.id
    db.close()
    return ids


def kept(home: Path) -> set[str]:
    """The ids of all messages, ratings and memories."""
    with closing(sqlite3.connect(home / "attune.db")) as connection:
        return {
            row[0]
            for table in ("message", "feedback", "memory")
            for row in connection.execute(f"SELECT id FROM {table}")
        }


def pages_of(home: Path, name: str) -> list[int]:
    """Numbers (from 1) of the leaf pages of a table or index, in their order in the file. The list is made
    from the format (sqlite.org/fileformat.html), since Python's SQLite has no dbstat."""
    with closing(sqlite3.connect(home / "attune.db")) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchall()
    [(root,)] = found or [(1,)]  # the list of tables does not name itself
    body = (home / "attune.db").read_bytes()

    def leaves(page: int) -> list[int]:
        start = (page - 1) * PAGE
        at = start + (100 if page == 1 else 0)
        kind, cells = body[at], int.from_bytes(body[at + 3 : at + 5], "big")
        if kind in (10, 13):
            return [page]
        starts = [
            start + int.from_bytes(body[at + 12 + 2 * cell : at + 14 + 2 * cell], "big")
            for cell in range(cells)
        ]
        below = [int.from_bytes(body[start : start + 4], "big") for start in starts]
        below.append(int.from_bytes(body[at + 8 : at + 12], "big"))
        return [leaf for inner in below for leaf in leaves(inner)]

    return sorted(leaves(root))


def ruin(path: Path, pages: list[int], byte: bytes = b"\xa5") -> None:
    """Overwrite these pages (numbered from 1)."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(byte * PAGE)
