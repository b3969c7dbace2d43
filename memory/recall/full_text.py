"""Full text of the memories: SQLite's FTS5 with stemming, on each memory and on what stands around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memory.database import Database

# A word in the memory itself counts as much as three in its neighbours (columns `text` and `around`).
OWN, AROUND = 3.0, 1.0
# Rows that are ranked for one question in a home of more than FEW. The words of a long history that stand
# in more memories say little, and to rank them all would take longer than everything else together.
FEW, RANKED = 1_000, 300
# Words that one statement counts; SQLite joins 500 selects at most.
TOGETHER = 100


class FullText:
    """BM25 over `memory_text`; what a memory's neighbours say counts for it too."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def matching(self, words: Iterable[str], limit: int) -> list[tuple[str, float]]:
        """(memory id, BM25) of at most `limit` that hold one of `words`, best first; scores above 0.

        English inflections are folded on both sides. The rarest words are looked for first, until they
        stand in RANKED rows together; when even the rarest stands in more, the two rarest must both be there.
        """
        wanted = sorted(f'"{word}"' for word in set(words))
        if not wanted or limit < 1:
            return []
        expression = " OR ".join(wanted) if self._few() else self._rarest(wanted)
        if not expression:
            return []
        found = self.db.rows(
            "SELECT memory_id, -bm25(memory_text, ?, ?) AS score FROM memory_text"
            " WHERE memory_text MATCH ? ORDER BY score DESC, rowid LIMIT ?",
            (OWN, AROUND, expression, limit),
        )
        return [(row["memory_id"], float(row["score"])) for row in found]

    def _few(self) -> bool:
        """Whether every row of the home may be ranked."""
        row = self.db.row("SELECT MAX(number) AS n FROM memory")
        return row is None or (row["n"] or 0) <= FEW

    def _rarest(self, words: Sequence[str]) -> str:
        one = (
            "SELECT ? AS word, COUNT(*) AS n FROM"
            " (SELECT 1 FROM memory_text WHERE memory_text MATCH ? LIMIT ?)"
        )
        counted: list[tuple[int, str]] = []
        for start in range(0, len(words), TOGETHER):
            some = words[start : start + TOGETHER]
            # In how many rows each stands, counted up to one more than matters.
            values = [value for word in some for value in (word, word, RANKED + 1)]
            rows = self.db.rows(" UNION ALL ".join([one] * len(some)), values)
            counted += [(int(row["n"]), row["word"]) for row in rows if row["n"]]
        wanted, ranked = [], 0
        for count, word in sorted(counted):
            if ranked + count <= RANKED:
                wanted.append(word)
                ranked += count
        return " OR ".join(wanted) or " AND ".join(word for _, word in sorted(counted)[:2])
