"""When a memory holds: what takes the place of what, what was taken back, and what is still to be asked.

The half of `Facts` about time. `valid_from` and `valid_to` say when something was true, `created_at` and
`ended_at` when that became known. Nothing is overwritten: what no longer holds stays as past.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from memory.database import Database
from memory.errors import AttuneError
from memory.records import Ending, Memory, Place
from memory.statements.refining import refines
from memory.statements.relations import Statement, contradict, read

COLUMNS = ", ".join(field.name for field in fields(Memory))


class Validity:
    """What `Facts` adds to is the storing, the searching and the forgetting."""

    db: Database

    if TYPE_CHECKING:

        def get(self, memory_id: str) -> Memory: ...
        def many(self, ids: Sequence[str]) -> list[Memory]: ...
        def _read(self, ids: Sequence[str]) -> list[Memory]: ...

    def contradicted(self, said: Statement, but: str = "") -> list[Memory]:
        """The facts that hold and that `said`, said now, takes the place of."""
        self._read_unread()
        found = self.db.rows(
            "SELECT id FROM memory WHERE claim IN (:claim, :present)"
            " UNION SELECT id FROM memory WHERE slot = :slot AND slot <> '' AND valid_to IS NULL",
            {"claim": said.claim, "present": said.claim.removeprefix("was "), "slot": said.slot},
        )
        return [
            one
            for one in self.many([row["id"] for row in found if row["id"] != but])
            if one.kind == "fact" and contradict(read(one.text, one.created_at), said)
        ]

    def ended_like(self, text: str) -> Memory | None:
        """The newest past memory that said the same as `text` and was corrected, if there is one."""
        said = read(text)
        for row in self.db.rows(
            "SELECT id, text, created_at, ended_at FROM memory WHERE claim = ? AND valid_to IS NOT NULL UNION"
            " SELECT id, text, created_at, ended_at FROM memory WHERE folded = ? AND valid_to IS NOT NULL"
            " ORDER BY ended_at DESC",
            (said.claim, fold(text)),
        ):
            # "I like tea." and "I no longer like tea." are one claim: the end of one corrects not the other
            if read(row["text"], row["created_at"]).denies == said.denies:
                return self.get(row["id"])
        return None

    def known(self, text: str) -> tuple[Memory | None, bool]:
        """The fact that holds and says the same as `text`, and whether `text` corrects it (refining.py)."""
        said = read(text)
        found = self._known(fold(text), "fact", said)
        return found, found is not None and refines_memory(text, said, found)

    def supersede(self, old_id: str, new_id: str, at: float | None = None) -> None:
        """`new_id` holds in the place of `old_id` since `at` (Unix seconds; now), which stays as past."""
        with self.db.transaction() as connection:
            old, new = self.get(old_id), self.get(new_id)
            if old.id == new.id or new.valid_to is not None:
                raise AttuneError("A memory can only be replaced by another one that still holds.")
            self._end(old.id, "superseded", at)
            connection.execute("UPDATE memory SET superseded_by = ? WHERE id = ?", (new.id, old.id))

    def retract(self, memory_id: str, at: float | None = None) -> Memory:
        """It does not hold (since `at`, or never did); it stays as past. Only the owner brings it back."""
        with self.db.transaction():
            old = self._alive(memory_id, "That memory does not hold any more; nothing was changed.")
            self._end(old.id, "retracted", at)
            return self.get(old.id)

    def confirm(self, memory_id: str) -> Memory:
        """What was inferred is true: the owner says so."""
        with self.db.transaction() as connection:
            self._alive(memory_id, "That memory does not hold any more; add it again if it is true.")
            connection.execute("UPDATE memory SET origin = 'said' WHERE id = ?", (memory_id,))
            return self.get(memory_id)

    def to_ask(self, ids: Sequence[str]) -> list[Memory]:
        """Those of `ids` that were inferred and never asked about; from now on they were."""
        due = [one for one in self.many(ids) if one.origin == "inferred" and one.asked_at is None]
        with self.db.transaction() as connection:
            connection.executemany(
                "UPDATE memory SET asked_at = ? WHERE id = ?", [(time.time(), one.id) for one in due]
            )
        return due

    def asked(self) -> Memory | None:
        """The inferred memory that was asked about last and is still open."""
        row = self.db.row(
            "SELECT id FROM memory WHERE origin = 'inferred' AND valid_to IS NULL"
            " AND asked_at IS NOT NULL ORDER BY asked_at DESC LIMIT 1"
        )
        return None if row is None else self.get(row["id"])

    def history(self, memory_id: str) -> list[Memory]:
        """A memory with all that it replaced and that replaced it, the oldest first."""
        found = self.db.rows(
            "WITH RECURSIVE line(id) AS (SELECT ? UNION"
            " SELECT m.id FROM memory AS m JOIN line ON m.superseded_by = line.id UNION"
            " SELECT m.superseded_by FROM memory AS m JOIN line ON m.id = line.id"
            " WHERE m.superseded_by IS NOT NULL)"
            " SELECT id FROM line",
            (self.get(memory_id).id,),
        )
        known = self._read([row["id"] for row in found])
        return sorted(known, key=lambda one: (one.created_at, one.id))

    def replaced_by(self, memory_id: str) -> list[str]:
        """Ids of the memories that this one took the place of."""
        rows = self.db.rows("SELECT id FROM memory WHERE superseded_by = ?", (memory_id,))
        return [row["id"] for row in rows]

    def _known(self, folded: str, kind: str, said: Statement | None) -> Memory | None:
        """What holds and says the same, if there is one."""
        row = self.db.row(
            "SELECT id FROM memory WHERE kind = ? AND folded = ? AND valid_to IS NULL", (kind, folded)
        )
        if row is not None or said is None:
            return self.get(row["id"]) if row is not None else None
        self._read_unread()
        for one in self.db.rows(
            "SELECT id, text, created_at FROM memory WHERE claim = ? AND kind = ? AND valid_to IS NULL",
            (said.claim, kind),
        ):
            if read(one["text"], one["created_at"]).denies == said.denies:
                return self.get(one["id"])
        return None

    def _read_unread(self) -> None:
        """Facts that were stored before relations were read, or by an import: read them now, once."""
        unread = self.db.rows("SELECT id, text, created_at FROM memory WHERE claim IS NULL AND kind = 'fact'")
        if not unread:
            return
        with self.db.transaction() as connection:
            for row in unread:
                said = read(row["text"], row["created_at"])
                connection.execute(
                    "UPDATE memory SET claim = ?, slot = ? WHERE id = ?", (said.claim, said.slot, row["id"])
                )

    def _alive(self, memory_id: str, otherwise: str) -> Memory:
        found = self.get(memory_id)
        if found.valid_to is not None:
            raise AttuneError(otherwise)
        return found

    def _end(self, memory_id: str, why: Ending, at: float | None = None) -> None:
        now = time.time()
        end = min(at or now, now)
        with self.db.transaction() as connection:
            # who tells in June what ended in May has told the beginning in June as well: it is not known
            connection.execute(
                "UPDATE memory SET valid_to = :end, ended_at = :now, ended = :why,"
                " valid_from = CASE WHEN valid_from > :end THEN NULL ELSE valid_from END"
                " WHERE id = :id AND valid_to IS NULL",
                {"end": end, "now": now, "why": why, "id": memory_id},
            )


def refines_memory(text: str, said: Statement, known: Memory) -> bool:
    """Whether `text`, which says the same as `known`, is a better version of it."""
    return refines(text, said, known.text, read(known.text, known.created_at))


def fold(text: str, place: Place | None = None) -> str:
    """What two texts share when they are the same fact, or the same turn at the same place."""
    folded = " ".join(text.casefold().split()).rstrip(". ")
    return folded if place is None else f"{folded}\x1f{place.thread}\x1f{place.position}"


def read_memory(row: sqlite3.Row) -> Memory:
    """A row of COLUMNS: by position, since every search reads dozens."""
    return Memory(*row)
