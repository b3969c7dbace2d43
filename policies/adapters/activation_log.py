"""The log of what was let speak. It only grows; what speaks now is what its replay says."""

from __future__ import annotations

import time
from typing import Any

from memory.database import Database
from policies.adapters.files import AdapterError

Stack = list[int | None]


class Overtaken(AdapterError):
    """What was to be taken off does not speak any more."""

    def __init__(self, version: str) -> None:
        super().__init__(f"{version} does not speak any more; nothing was changed.")


class ActivationLog:
    """Entries name adapters by number (None is the base), and outlive them: an adapter may be deleted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def append(self, kind: str, version: str | None, base_sha256: str | None, reason: str) -> None:
        """`kind` is "activate" or "rollback"."""
        number = None if version is None else int(version[1:])
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO activations (kind, number, base_sha256, reason, created_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (kind, number, base_sha256, reason, time.time()),
            )

    def entries(self) -> list[dict[str, Any]]:
        """Oldest first: {"version", "kind", "reason", "created_at"}."""
        return [
            {
                "version": None if row["number"] is None else f"v{row['number']}",
                "kind": row["kind"],
                "reason": row["reason"],
                "created_at": row["created_at"],
            }
            for row in self._db.rows("SELECT * FROM activations ORDER BY seq")
        ]

    def stack(self, base_sha256: str | None = None) -> Stack:
        """What spoke, oldest first, as numbers; the base (None) lies at the bottom and the last one speaks.

        A rollback takes the top away, so that rolling back twice goes back two steps.
        """
        stack: Stack = [None]
        for row in self._db.rows("SELECT kind, number, base_sha256 FROM activations ORDER BY seq"):
            if base_sha256 is not None and row["base_sha256"] not in (None, base_sha256):
                continue
            if row["kind"] == "rollback":
                if len(stack) > 1:
                    stack.pop()
                if stack[-1] != row["number"]:
                    stack.append(row["number"])
            elif stack[-1] != row["number"]:
                stack.append(row["number"])
        return stack

    def expect(self, version: str | None, base_sha256: str | None = None) -> None:
        """Raise Overtaken where `version` is not what speaks; None expects nothing."""
        if version is not None and self.stack(base_sha256)[-1] != int(version[1:]):
            raise Overtaken(version)

    def speaking(self) -> set[int]:
        """The numbers that speak, each on the base that it was chosen for."""
        bases = self._db.rows("SELECT DISTINCT base_sha256 FROM activations WHERE number IS NOT NULL")
        tops = [self.stack(row["base_sha256"])[-1] for row in bases]
        return {number for number in tops if number is not None}

    def base_of(self, number: int) -> str | None:
        """The base that a version was chosen for."""
        row = self._db.row("SELECT base_sha256 FROM activations WHERE number = ?", (number,))
        return row["base_sha256"] if row else None
