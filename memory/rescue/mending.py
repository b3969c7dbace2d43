"""Makes a database that was put together from pieces whole again: nothing in it points at what is lost."""

from __future__ import annotations

import sqlite3

from memory.journal import generation_body
from memory.records import Generation
from memory.rescue.damaged_rows import has_table, quoted
from memory.strict_json import mended

# In the place of how a reply came about where that is lost.
UNKNOWN = Generation("", "unknown", None, (), "", (), (), {})


def make_whole(new: sqlite3.Connection) -> None:
    """No row points at one that is lost, and no reply is without its generation.

    A message whose conversation is lost gets one without a title; a lost parent makes it a beginning.
    """
    if has_table(new, "conversation") and has_table(new, "message"):
        new.execute(
            "INSERT INTO conversation (id, title, created_at, updated_at)"
            " SELECT conversation_id, '', MIN(created_at), MAX(created_at) FROM message"
            " WHERE conversation_id NOT IN (SELECT id FROM conversation) GROUP BY conversation_id"
        )
    for _ in range(10):  # what is deleted may have been pointed at
        if not _cut_loose(new):
            break
    if has_table(new, "conversation") and has_table(new, "generation"):
        new.execute(
            "UPDATE conversation SET head_id = (SELECT id FROM message"
            " WHERE conversation_id = conversation.id ORDER BY rowid DESC LIMIT 1) WHERE head_id IS NULL"
        )
        _explain_replies(new)


def _cut_loose(new: sqlite3.Connection) -> bool:
    broken = {(row[0], row[3]) for row in new.execute("PRAGMA foreign_key_check")}
    for table, number in broken:
        keys = [row for row in new.execute(f"PRAGMA foreign_key_list({quoted(table)})") if row[0] == number]
        _, _, parent, column, target = keys[0][:5]
        target = target or next(
            row[1] for row in new.execute(f"PRAGMA table_info({quoted(parent)})") if row[5]
        )
        required = any(
            row[1] == column and (row[3] or row[5])
            for row in new.execute(f"PRAGMA table_info({quoted(table)})")
        )
        lost = f"{quoted(column)} IS NOT NULL AND {quoted(column)} NOT IN"
        lost += f" (SELECT {quoted(target)} FROM {quoted(parent)})"
        change = (
            f"DELETE FROM {quoted(table)}"
            if required
            else f"UPDATE {quoted(table)} SET {quoted(column)} = NULL"
        )
        new.execute(f"{change} WHERE {lost}")
    return bool(broken)


def _explain_replies(new: sqlite3.Connection) -> None:
    """A reply is never without its generation; one whose own is lost trains nobody."""
    lost = [
        row[0]
        for row in new.execute(
            "SELECT id FROM message WHERE role = 'assistant' AND id NOT IN (SELECT reply_id FROM generation)"
        )
    ]
    body = generation_body(UNKNOWN)
    columns = "reply_id, base, adapter, body"
    new.executemany(
        f"INSERT INTO generation ({columns}) VALUES (?, 'unknown', NULL, ?)", [(one, body) for one in lost]
    )
    for table, key, column in (("generation", "reply_id", "body"), ("message", "id", "tool_calls")):
        odd = new.execute(f"SELECT {column}, {key} FROM {table} WHERE NOT json_valid({column})").fetchall()
        new.executemany(
            f"UPDATE {table} SET {column} = ? WHERE {key} = ?", [(mended(text), one) for text, one in odd]
        )
    garbled = [row[0] for row in new.execute("SELECT reply_id FROM generation WHERE NOT json_valid(body)")]
    new.executemany("UPDATE generation SET body = ? WHERE reply_id = ?", [(body, one) for one in garbled])
    new.execute("UPDATE message SET tool_calls = '[]' WHERE NOT json_valid(tool_calls)")
    if has_table(new, "withheld"):
        known = [(one,) for one in (*lost, *garbled)]
        new.executemany("INSERT OR IGNORE INTO withheld (reply_id) VALUES (?)", known)
