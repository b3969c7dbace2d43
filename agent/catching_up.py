"""A newer export of a home that is here already: what went on since is taken over.

Only what moves in one direction: a memory that held ends, one that was inferred is confirmed, and a
conversation goes on below where it stood. So an older export changes nothing.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from memory.records import Memory
from memory.text import as_written

BELOW = """
    WITH RECURSIVE up(id) AS (
        SELECT id FROM message WHERE id = :head AND conversation_id = :id
        UNION SELECT m.parent_id FROM message AS m JOIN up ON m.id = up.id WHERE m.parent_id IS NOT NULL)
    UPDATE conversation SET head_id = :head, title = :title, updated_at = :updated_at
    WHERE id = :id AND head_id <> :head AND updated_at < :updated_at AND head_id IN (SELECT id FROM up)
"""


def memory(connection: sqlite3.Connection, told: Memory) -> None:
    """What became of a memory that is known here; what replaced it is linked when all are read."""
    if told.valid_to is not None:
        connection.execute(
            "UPDATE memory SET valid_to = ?, ended = ?, ended_at = ?, valid_from = ?"
            " WHERE id = ? AND valid_to IS NULL",
            (told.valid_to, told.ended, told.ended_at, told.valid_from, told.id),
        )
    connection.execute(
        "UPDATE memory SET asked_at = COALESCE(asked_at, :asked),"
        " origin = CASE :origin WHEN 'said' THEN 'said' ELSE origin END"
        " WHERE id = :id AND (origin <> :origin OR asked_at IS NULL)",
        {"asked": told.asked_at, "origin": told.origin, "id": told.id},
    )


def conversation(connection: sqlite3.Connection, told: dict[str, Any]) -> None:
    """Its newest message, when that stands below the one that it stood at here; its title goes with it."""
    connection.execute(
        BELOW,
        {
            "id": told["id"],
            "head": as_written(told.get("head_id") or ""),
            "title": as_written(told["title"]),
            "updated_at": told["updated_at"],
        },
    )
