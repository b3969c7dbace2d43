"""Memories: what was remembered, where it came from, when it held, and how useful it was.

Nothing is overwritten: an edit makes a new memory and ends the old one. Only `forget` removes rows,
and then really. Usefulness is not stored but derived from the ledger (see `remembered` in schema.py).
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence

from memory.database import Database
from memory.errors import NotFound
from memory.records import Memory, Origin, Place
from memory.statements.relations import read
from memory.text import as_written, one_line, quoted
from memory.validity import COLUMNS, Validity, fold, read_memory, refines_memory

WORD = re.compile(r"\w+")


class Facts(Validity):
    """The memories of a home. Safe to share between threads, as the Database is."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def remember(
        self,
        text: str,
        kind: str = "fact",
        source_message_id: str | None = None,
        *,
        origin: Origin = "said",
        beside: bool = False,
        place: Place | None = None,
    ) -> Memory:
        """Save `text` on one line; what says the same (see relations.py) is saved once, but for what corrects
        it all the same (refining.py): a password in another case, a date since when it holds.

        A fact takes the place of those that it contradicts, unless it is to stand `beside` them; they stay
        as past. A turn of a conversation has its `place` there, and the same words at another place are
        another turn. Raises BadText when it is empty or above 2,000 characters, NotFound for an unknown
        source.
        """
        line, now = one_line(text), time.time()
        said = read(line, now) if kind == "fact" else None
        folded = fold(line, place)
        with self.db.transaction() as connection:
            known = self._known(folded, kind, said)
            if known is not None and (said is None or beside or not refines_memory(line, said, known)):
                if origin == "said" and known.origin == "inferred":
                    return self.confirm(known.id)
                return known
            if source_message_id is not None and not self._has_message(source_message_id):
                raise NotFound(f"No message {quoted(source_message_id)} in this home to remember from.")
            if known is not None:
                # first, as the same fact is alive once; the new one is a better version of it, as an edit is
                self._end(known.id, "edited")
            since = said.since if said and said.since and not said.past else None
            where = (place.thread, place.position, place.at, place.by) if place else (None,) * 4
            id_ = uuid.uuid4().hex
            connection.execute(
                "INSERT INTO memory (id, text, folded, kind, created_at, source_message_id, valid_from,"
                " origin, claim, slot, thread, position, told_at, told_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id_, line, folded, kind, now, source_message_id, min(since or now, now), origin,
                    said.claim if said else None, said.slot if said else None, *where,
                ),
            )  # fmt: skip
            if known is not None:
                connection.execute("UPDATE memory SET superseded_by = ? WHERE id = ?", (id_, known.id))
            for old in self.contradicted(said, but=id_) if said and not beside else ():
                at = (said.until if said.past else said.since) if said else None
                self._end(old.id, "superseded", at)
                connection.execute("UPDATE memory SET superseded_by = ? WHERE id = ?", (id_, old.id))
            made = self.get(id_)
        return made

    def edit(self, memory_id: str, text: str) -> Memory:
        """A new memory with `text` that supersedes the old one. Raises NotFound, BadText, AttuneError."""
        line = one_line(text)
        with self.db.transaction() as connection:
            old = self._alive(memory_id, "That memory was replaced already; edit its newest version.")
            if old.text == line:
                return self.confirm(old.id)
            # first, so that a change of case alone is not taken for the same fact
            self._end(old.id, "edited")
            new = self.remember(line, old.kind, old.source_message_id, place=old.place)
            connection.execute("UPDATE memory SET superseded_by = ? WHERE id = ?", (new.id, old.id))
        return new

    def forget(self, memory_id: str) -> list[str]:
        """Delete a memory and the older versions that it replaced; the ids that are gone.

        The rows and their full-text entries are overwritten in the file (secure_delete), not unlinked.
        """
        with self.db.transaction() as connection:
            self.get(memory_id)
            gone = [
                row["id"]
                for row in connection.execute(
                    "WITH RECURSIVE past(id) AS (SELECT ? UNION"
                    " SELECT m.id FROM memory AS m JOIN past ON m.superseded_by = past.id)"
                    " SELECT id FROM past",
                    (memory_id,),
                ).fetchall()
            ]
            connection.executemany("DELETE FROM memory WHERE id = ?", [(one,) for one in gone])
            # FTS5 marks deleted words and drops them when it merges (its own secure-delete is SQLite 3.42's).
            connection.execute("INSERT INTO memory_text (memory_text) VALUES ('optimize')")
        self.db.scrub()
        return gone

    def get(self, memory_id: str) -> Memory:
        row = self.db.row(f"SELECT {COLUMNS} FROM remembered WHERE id = ?", (as_written(memory_id),))
        if row is None:
            raise NotFound(
                f"No memory {quoted(memory_id)} in this home; `attune memory list` shows their ids."
            )
        return read_memory(row)

    def many(self, ids: Sequence[str]) -> list[Memory]:
        """Those of `ids` that exist and hold, in the order asked for."""
        known = {one.id: one for one in self._read(ids) if one.valid_to is None}
        return [known[one] for one in ids if one in known]

    def _read(self, ids: Sequence[str]) -> list[Memory]:
        """Those of `ids` that exist, also those that hold no more; in any order."""
        found: list[Memory] = []
        for start in range(0, len(ids), 500):
            some = [as_written(one) for one in ids[start : start + 500]]
            # A list of parameters: with a subquery SQLite would first put together the whole view.
            query = f"SELECT {COLUMNS} FROM remembered WHERE id IN ({', '.join('?' * len(some))})"
            found += [read_memory(row) for row in self.db.rows(query, some)]
        return found

    def all(self, include_past: bool = False) -> list[Memory]:
        """Newest first; with `include_past` those too that were replaced."""
        found = self.db.rows(
            f"SELECT {COLUMNS} FROM remembered WHERE valid_to IS NULL OR ? ORDER BY created_at DESC, id",
            (include_past,),
        )
        return [read_memory(row) for row in found]

    def texts(self) -> list[tuple[str, str]]:
        """(id, text) of all that hold: what the vector index is rebuilt from."""
        found = self.db.rows("SELECT id, text FROM memory WHERE valid_to IS NULL ORDER BY created_at, id")
        return [(row["id"], row["text"]) for row in found]

    def ids(self) -> set[str]:
        """Of all that hold."""
        return {row["id"] for row in self.db.rows("SELECT id FROM memory WHERE valid_to IS NULL")}

    def version(self) -> int:
        """Grows with every change of what `ids` and `texts` give, in whichever process it is made."""
        row = self.db.row("SELECT version FROM memory_version")
        return int(row["version"]) if row else 0

    def last_number(self) -> int:
        """Of the memory that was stored last: each new one gets a higher number."""
        row = self.db.row("SELECT MAX(number) AS n FROM memory")
        return int(row["n"] or 0) if row else 0

    def any(self) -> bool:
        """Whether there is one that holds; at once, however many there are."""
        return self.db.row("SELECT 1 FROM memory WHERE valid_to IS NULL LIMIT 1") is not None

    def count(self) -> int:
        row = self.db.row("SELECT COUNT(*) AS n FROM memory WHERE valid_to IS NULL")
        return int(row["n"]) if row else 0

    def search_text(self, query: str, limit: int = 50) -> list[Memory]:
        """Those that hold every word of `query` (or words that begin so), best first (BM25).

        A query without any word finds everything, as an empty search field does.
        """
        words = WORD.findall(as_written(query))
        if not words:
            newest = self.db.rows(
                "SELECT id FROM memory WHERE valid_to IS NULL ORDER BY created_at DESC, id LIMIT ?", (limit,)
            )
            return self.many([row["id"] for row in newest])
        found = self.db.rows(
            "SELECT memory_id FROM memory_text WHERE memory_text MATCH ? ORDER BY rank LIMIT ?",
            (f"text : ({' AND '.join(map(_prefix, words))})", limit),
        )
        return self.many([row["memory_id"] for row in found])

    def bump(self, ids: Sequence[str], helped: bool, amount: float = 1.0) -> None:
        """Count `amount` for or against memories by hand, beside what thumbs say. Unknown ids are skipped."""
        column = "bump_helped" if helped else "bump_hurt"
        with self.db.transaction() as connection:
            connection.executemany(
                f"UPDATE memory SET {column} = MAX(0, {column} + ?) WHERE id = ?",
                [(amount, one) for one in ids],
            )

    def shown_to(self, reply_id: str) -> list[Memory]:
        """The memories that a reply was shown and that still exist, with their usefulness of this moment."""
        shown = self.db.rows("SELECT memory_id FROM shown WHERE reply_id = ?", (as_written(reply_id),))
        return self._read([row["memory_id"] for row in shown])

    def apply_thumb(self, reply_id: str, old_value: int, new_value: int) -> list[Memory]:
        """The memories whose usefulness a thumb moved, as they are now; none when nothing changed.

        There is nothing to store: usefulness follows from the ledger, so it cannot drift from it
        when a process dies between two writes, and a rating that is undone or erased is undone here.
        """
        return [] if old_value == new_value else self.shown_to(reply_id)

    def _has_message(self, message_id: str) -> bool:
        return self.db.row("SELECT 1 FROM message WHERE id = ?", (as_written(message_id),)) is not None


def _prefix(word: str) -> str:
    # The index holds stems and the query is stemmed as well, so a whole word needs no star to match its
    # inflections, and a prefix needs one.
    return f'("{word}" OR "{word}"*)'
