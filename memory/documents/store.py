"""Documents and their passages in the database, with full text. The vectors are search.py's."""

from __future__ import annotations

import json
import re
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memory.database import Database
from memory.documents.chunking import chunks
from memory.documents.records import Document, Parsed
from memory.text import as_written

COLUMNS = "id, path, root, format, sha256, unit, learned_at"
ROWS = "id, document_id, begin_at, end_at, from_unit, to_unit, heading, text"


@dataclass(frozen=True, slots=True)
class Row:
    """One passage as it is stored."""

    id: int
    document_id: str
    begin_at: int
    end_at: int
    from_unit: int
    to_unit: int
    heading: str
    text: str


def cut(parsed: Parsed) -> list[Row]:
    """The passages of a document that is not stored yet: their ids are 0, 1, \u2026"""
    lines = ((at.end(), number) for number, at in enumerate(re.finditer("\n", parsed.text), 2))
    marks = parsed.marks or ((0, 1), *lines)
    offsets = [offset for offset, _ in marks]
    begins = offsets if parsed.unit in ("message", "cell") else ()

    def number(offset: int) -> int:
        return marks[max(0, bisect_right(offsets, offset) - 1)][1]

    return [
        Row(
            position,
            "",
            chunk.start,
            chunk.end,
            min(number(chunk.start), number(chunk.end - 1)),
            max(number(chunk.start), number(chunk.end - 1)),
            chunk.heading,
            parsed.text[chunk.start : chunk.end],
        )
        for position, chunk in enumerate(chunks(parsed.text, parsed.code, begins))
    ]


class DocumentStore:
    """The documents of one owner."""

    def __init__(self, db: Database, owner: str = "owner") -> None:
        self.db = db
        self.owner = owner

    def all(self) -> list[Document]:
        """By path."""
        found = self.db.rows(
            f"SELECT {COLUMNS}, (SELECT COUNT(*) FROM passage WHERE document_id = document.id) AS passages"
            " FROM document WHERE owner = ? ORDER BY path",
            (self.owner,),
        )
        return [Document(**dict(row)) for row in found]

    def get(self, path: Path) -> Document | None:
        """The document that was learned from this very file."""
        row = self.db.row(
            f"SELECT {COLUMNS} FROM document WHERE owner = ? AND path = ?", (self.owner, name(path))
        )
        return Document(**dict(row)) if row else None

    def below(self, path: Path) -> list[Document]:
        """The documents learned from this file, or from anywhere in this folder."""
        exact = name(path)
        folder = exact.rstrip("/") + "/"
        return [one for one in self.all() if one.path == exact or one.path.startswith(folder)]

    def put(self, document: Document, rows: Sequence[Row]) -> tuple[list[int], list[int]]:
        """Store it in the place of what was learned from its path: (ids of its passages, ids that are gone).

        A document keeps its id when it is learned anew.
        """
        with self.db.transaction() as connection:
            known = connection.execute(
                "SELECT id FROM document WHERE owner = ? AND path = ?", (self.owner, document.path)
            ).fetchone()
            if known is not None:  # another process may have been quicker
                document = replace(document, id=known["id"])
            gone = self.passage_ids([document.id])
            connection.execute("DELETE FROM passage WHERE document_id = ?", (document.id,))
            connection.execute(
                "INSERT INTO document (id, owner, path, root, format, sha256, unit, learned_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET root = excluded.root,"
                " format = excluded.format, sha256 = excluded.sha256, unit = excluded.unit,"
                " learned_at = excluded.learned_at",
                (
                    document.id,
                    self.owner,
                    document.path,
                    document.root,
                    document.format,
                    document.sha256,
                    document.unit,
                    document.learned_at,
                ),
            )
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'passage'").fetchone()
            first = (int(row["seq"]) if row else 0) + 1
            # One more than needed is left out before it: ids that follow each other are of one document.
            ids = list(range(first + 1, first + 1 + len(rows)))
            connection.executemany(
                f"INSERT INTO passage ({ROWS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        one,
                        document.id,
                        row.begin_at,
                        row.end_at,
                        row.from_unit,
                        row.to_unit,
                        as_written(row.heading),
                        as_written(row.text),
                    )
                    for one, row in zip(ids, rows, strict=True)
                ],
            )
        return ids, gone

    def move(self, document_id: str, path: Path, root: Path) -> None:
        """The file is found under another path now; nothing else of it has changed."""
        with self.db.transaction() as connection:
            connection.execute(
                "UPDATE document SET path = ?, root = ? WHERE id = ?", (name(path), name(root), document_id)
            )

    def passage_ids(self, document_ids: Sequence[str] | None = None) -> list[int]:
        """Of these documents, else of all; in order."""
        chosen = "document_id IN (SELECT value FROM json_each(:ids))" if document_ids is not None else "1"
        found = self.db.rows(
            f"SELECT passage.id FROM passage JOIN document ON document.id = document_id"
            f" WHERE owner = :owner AND {chosen} ORDER BY passage.id",
            {"owner": self.owner, "ids": json.dumps(list(document_ids or ()))},
        )
        return [row["id"] for row in found]

    def state(self) -> tuple[int, int]:
        """Differs whenever the set of passages does: how many there are, and the last id ever given."""
        row = self.db.row(
            "SELECT (SELECT COUNT(*) FROM passage JOIN document ON document.id = document_id"
            " WHERE owner = ?) AS n, (SELECT seq FROM sqlite_sequence WHERE name = 'passage') AS seq",
            (self.owner,),
        )
        return (row["n"], row["seq"] or 0) if row else (0, 0)

    def of_others(self) -> set[int]:
        """Ids of the passages that are another owner's; with one owner there is nothing to read."""
        found = self.db.rows(
            "SELECT passage.id FROM document JOIN passage ON document_id = document.id WHERE owner <> ?",
            (self.owner,),
        )
        return {row["id"] for row in found}

    def rows(self, ids: Sequence[int]) -> dict[int, Row]:
        """Those of `ids` that exist and are this owner's."""
        columns = ", ".join(f"passage.{column}" for column in ROWS.split(", "))
        found = self.db.rows(
            f"SELECT {columns} FROM passage JOIN document ON document.id = document_id"
            " WHERE owner = ? AND passage.id IN (SELECT value FROM json_each(?))",
            (self.owner, json.dumps(list(ids))),
        )
        return {row["id"]: _row(row) for row in found}

    def rows_of(self, document_id: str) -> list[Row]:
        """All passages of a document, in order."""
        found = self.db.rows(f"SELECT {ROWS} FROM passage WHERE document_id = ? ORDER BY id", (document_id,))
        return [_row(row) for row in found]

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        found = self.db.rows(
            f"SELECT {COLUMNS} FROM document WHERE owner = ? AND id IN (SELECT value FROM json_each(?))",
            (self.owner, json.dumps(list(ids))),
        )
        return {row["id"]: Document(**dict(row)) for row in found}

    def holding(self, word: str) -> list[int]:
        """Ids of the passages, of all owners, with this word (inflections folded) in text or headings."""
        quoted = word.replace('"', '""')
        found = self.db.rows("SELECT rowid FROM passage_text WHERE passage_text MATCH ?", (f'"{quoted}"',))
        return [row["rowid"] for row in found]


def name(path: Path) -> str:
    """A path as it may be stored: names that are no Unicode lose what cannot be written."""
    return as_written(str(path))


def _row(row: sqlite3.Row) -> Row:
    return Row(**dict(row))
