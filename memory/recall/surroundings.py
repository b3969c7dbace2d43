"""What a memory is embedded with, and which vectors are no longer what they should be.

A turn like "Yes, last May!" says nothing by itself: its vector is made of the turn before it and itself. A
fact that was saved by itself is embedded by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memory.database import Database

# Of the memory before, its last characters: the embedder reads 256 tokens, and the memory itself must fit.
BEFORE = 400
PASSAGE = f"""
    SELECT m.id, COALESCE((
        SELECT substr(n.text, -{BEFORE}) || char(10) FROM memory AS n
        WHERE n.thread = m.thread AND n.position = m.position - 1 AND n.valid_to IS NULL
        ORDER BY n.number LIMIT 1), '') || m.text AS passage
    FROM memory AS m WHERE m.valid_to IS NULL
"""


class Surroundings:
    """Reads of the database for whoever keeps the vectors in step with it."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def passages(self, ids: Iterable[str] | None = None) -> list[tuple[str, str]]:
        """(id, what is embedded for it) of the memories that hold, or of those of `ids` that do."""
        if ids is None:
            rows = self.db.rows(f"{PASSAGE} ORDER BY m.created_at, m.number")
            return [(row["id"], row["passage"]) for row in rows]
        found: list[tuple[str, str]] = []
        wanted = list(ids)
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            rows = self.db.rows(f"{PASSAGE} AND m.id IN ({', '.join('?' * len(some))})", some)
            found += [(row["id"], row["passage"]) for row in rows]
        return found

    def stale(self) -> list[str]:
        """Memories whose predecessor in the thread came, was replaced, or was forgotten."""
        return [row["memory_id"] for row in self.db.rows("SELECT memory_id FROM stale_vector")]

    def refreshed(self, ids: Sequence[str]) -> None:
        """Their vectors are right again."""
        with self.db.transaction() as connection:
            connection.executemany("DELETE FROM stale_vector WHERE memory_id = ?", [(one,) for one in ids])

    def texts(self) -> list[tuple[str, str]]:
        """The passages of all that hold: what the index is filled with."""
        return self.passages()

    def ids(self) -> set[str]:
        """Of all that hold."""
        return {row["id"] for row in self.db.rows("SELECT id FROM memory WHERE valid_to IS NULL")}

    def version(self) -> int:
        """Grows with every memory that begins, ends, or is deleted, in whichever process."""
        row = self.db.row("SELECT version FROM memory_version")
        return int(row["version"]) if row else 0
