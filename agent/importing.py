"""An exported home read back: what it holds is added to this one, and the same file twice adds nothing. Of
what is here already, what went on since is taken over (catching_up.py).

Ids are kept, so that ratings, provenance and usefulness mean what they meant. A line that cannot be read is
named and left out; whatever does not need it is still taken: a message whose parent is missing starts a
branch of its own.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from agent import catching_up
from agent.checked import generation, record
from agent.export import amounts
from memory.database import Database
from memory.documents.records import Document
from memory.documents.store import DocumentStore, Row
from memory.errors import AttuneError
from memory.journal import generation_body
from memory.records import Conversation, Feedback, Generation, Memory, Message
from memory.rescue.mending import UNKNOWN
from memory.text import all_as_written, as_written, finite, message_text, one_line
from memory.validity import fold

IMPORTED = "imported "
SHOWN = 20  # broken lines that are named one by one
# Lines are taken in this order whatever their order in the file: what others point at comes first.
ORDER = ("conversation", "message", "memory", "card", "withheld", "unlearned", "document")
Line = tuple[int, dict[str, Any]]  # its number in the file, and what it says


class ImportError_(AttuneError):
    """The file could not be read."""


@dataclass(slots=True)
class Imported:
    """How much was new, by type; `known` was there already; `broken` names lines that were left out."""

    added: dict[str, int] = field(default_factory=dict)
    known: int = 0
    broken: list[str] = field(default_factory=list)

    def text(self) -> str:
        said = f"Imported: {amounts(self.added)}." if self.added else "Nothing new was in it."
        if self.known:
            said += f" {self.known} were here already."
        if self.broken:
            said += f" {len(self.broken)} lines were left out."
        return said


def import_file(db: Database, path: Path) -> Imported:
    """Read an exported .jsonl file into `db`. Raises ImportError_ when it cannot be read at all."""
    done = Imported()
    lines: dict[str, list[Line]] = {kind: [] for kind in ORDER}
    for number, entry in _entries(path, done):
        lines[entry["type"]].append((number, entry))
    if done.broken and not any(lines.values()):
        raise ImportError_(f"{path} is no export of Attune: {done.broken[0]}")
    takers = TAKERS | {"document": partial(_document, DocumentStore(db))}
    with db.transaction() as connection:
        for kind in ORDER:
            lines[kind] = [
                (number, entry)
                for number, entry in _in_order(lines[kind])
                if _take(connection, done, number, kind, partial(takers[kind], connection, entry))
            ]
        events = [(number, one) for number, entry in lines["message"] for one in entry.get("feedback") or ()]
        for number, event in sorted(events, key=lambda one: _seq(one[1])):
            _take(connection, done, number, "rating", partial(_feedback, connection, event))
        _link(connection, lines)
    return done


def _in_order(lines: Sequence[Line]) -> list[Line]:
    """Oldest first, but a message never before its parent, whatever the clock said when it was written."""
    by_id = {entry["id"]: (number, entry) for number, entry in lines if isinstance(entry.get("id"), str)}
    ordered: dict[int, Line] = {}
    for one in sorted(lines, key=lambda one: _moment(one[1])):
        branch: dict[int, Line] = {}
        above: Line | None = one
        while above is not None and above[0] not in ordered and above[0] not in branch:
            branch[above[0]] = above
            parent = above[1].get("parent_id")
            above = by_id.get(parent) if isinstance(parent, str) else None
        ordered.update(reversed(branch.items()))
    return list(ordered.values())


def _entries(path: Path, done: Imported) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.casefold() != ".jsonl":
        raise ImportError_(f"Import reads .jsonl files that `attune export` wrote, not {path.name!r}.")
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                try:
                    entry = _read(raw)
                    if not isinstance(entry, dict):
                        raise ValueError("it is no object")
                    kind = entry.setdefault("type", "message")  # older exports held messages only
                    if kind not in ORDER:
                        raise ValueError(f"its type {str(kind)[:40]!r} is not known")
                except ValueError as wrong:
                    done.broken.append(f"line {number}: {wrong}")
                    continue
                yield number, entry
    except OSError as wrong:
        raise ImportError_(
            f"{path} cannot be read ({wrong.strerror}); give the path of an export."
        ) from wrong


def _take(
    connection: sqlite3.Connection, done: Imported, number: int, kind: str, take: Callable[[], bool]
) -> bool:
    """One thing, or none of it: what fails is undone to a savepoint and named. True when it is here now."""
    connection.execute("SAVEPOINT one")
    try:
        new = take()
    except (KeyError, TypeError, ValueError, ArithmeticError, sqlite3.Error, AttuneError) as wrong:
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        why = f"{wrong} is missing" if isinstance(wrong, KeyError) else str(wrong)
        done.broken.append(f"line {number}: {why}")
        return False
    connection.execute("RELEASE one")
    if new:
        done.added[kind] = done.added.get(kind, 0) + 1
    else:
        done.known += 1
    return True


def _conversation(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = record(Conversation, entry)
    return _insert(
        connection, "conversation",
        {
            "id": one.id, "title": as_written(one.title), "created_at": one.created_at,
            "updated_at": one.updated_at,
        },
    )  # fmt: skip


def _message(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = record(Message, entry)
    if one.role == "user":
        message_text(one.content)
    if not all(isinstance(call.get("name"), str) and "arguments" in call for call in one.tool_calls):
        raise ValueError("a message with a tool call that names no tool")
    if not isinstance(entry.get("feedback") or [], list):
        raise ValueError("its feedback is no list")
    told = entry.get("conversation") or {  # older exports told its title only
        "id": one.conversation_id, "title": str(entry.get("conversation_title") or ""),
        "created_at": one.created_at, "updated_at": one.created_at,
    }  # fmt: skip
    _conversation(connection, told)
    parent = connection.execute(
        "SELECT id FROM message WHERE id = ? AND conversation_id = ?", (one.parent_id, one.conversation_id)
    ).fetchone()
    new = _insert(
        connection, "message",
        {
            "id": one.id, "conversation_id": one.conversation_id, "parent_id": parent and parent["id"],
            "role": one.role, "content": as_written(one.content), "created_at": one.created_at,
            "sent": None if one.sent is None else as_written(one.sent),
            "tool_calls": json.dumps(all_as_written(one.tool_calls)),
            "tool_name": None if one.tool_name is None else as_written(one.tool_name),
            "complete": int(one.complete),
        },
    )  # fmt: skip
    if new and one.role == "assistant":
        came = entry.get("generation")
        made = UNKNOWN if came is None else _foreign(generation(came, one.id))
        row = {"reply_id": one.id, "base": made.base, "adapter": made.adapter, "body": generation_body(made)}
        _insert(connection, "generation", row)
        for shown in made.recalled:
            _insert(connection, "shown", {"reply_id": one.id, "memory_id": shown.memory_id})
        if came is None:  # as after damage: nothing is learned from it
            _insert(connection, "withheld", {"reply_id": one.id})
    return new


def _foreign(made: Generation) -> Generation:
    """Versions are counted in each home anew: the v1 of another one is not the v1 of this one."""
    if made.adapter is None or made.adapter.startswith(IMPORTED):
        return made
    return replace(made, adapter=IMPORTED + made.adapter)


def _feedback(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = record(Feedback, entry)
    row = {
        name: getattr(one, name)
        for name in ("id", "reply_id", "kind", "value", "created_at", "why", "text", "other_id", "source")
    }
    return _insert(connection, "feedback", row)


def _memory(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = record(Memory, entry)
    if _there(connection, "memory", one.id):
        catching_up.memory(connection, one)
        return False
    source = one.source_message_id
    if source is not None and not _there(connection, "message", source):
        source = None
    line = one_line(one.text)
    live = "SELECT 1 FROM memory WHERE kind = ? AND folded = ? AND valid_to IS NULL"
    if one.valid_to is None and connection.execute(live, (one.kind, fold(line))).fetchone():
        return False  # this home knows it under another id
    return _insert(
        connection, "memory",
        {
            "id": one.id, "text": line, "folded": fold(line), "kind": one.kind, "created_at": one.created_at,
            "source_message_id": source, "valid_from": one.valid_from, "valid_to": one.valid_to,
            "bump_helped": float(entry.get("bump_helped") or 0),
            "bump_hurt": float(entry.get("bump_hurt") or 0),
            "origin": one.origin, "ended": one.ended, "ended_at": one.ended_at, "asked_at": one.asked_at,
        },
    )  # fmt: skip


def _card(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    row = {name: entry[name] for name in ("feature", "state", "text", "created_at")}
    return _insert(connection, "card_choice", row)


def _document(store: DocumentStore, _: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    """What is learned under the same path here stays: it may be newer. The vectors follow with a search."""
    rows = [record(Row, {"id": 0, "document_id": "", **passage}) for passage in entry["passages"]]
    one = record(Document, {**entry, "passages": len(rows)})
    if store.get(Path(one.path)) is not None:
        return False
    store.put(one, rows)
    return True


def _only(table: str, column: str) -> Callable[[sqlite3.Connection, dict[str, Any]], bool]:
    return lambda connection, entry: _insert(connection, table, {column: entry[column]})


TAKERS: dict[str, Callable[[sqlite3.Connection, dict[str, Any]], bool]] = {
    "conversation": _conversation,
    "message": _message,
    "memory": _memory,
    "card": _card,
    "withheld": _only("withheld", "reply_id"),
    "unlearned": _only("unlearned", "message_id"),
}


def _link(connection: sqlite3.Connection, lines: dict[str, list[Line]]) -> None:
    """What points at rows that may come later in the file: heads, and what replaced a memory."""
    told = {one["id"]: one for _, entry in lines["message"] if (one := entry.get("conversation"))}
    for entry in told.values():
        connection.execute(
            "UPDATE conversation SET head_id = :head WHERE id = :id AND head_id IS NULL"
            " AND EXISTS (SELECT 1 FROM message WHERE id = :head AND conversation_id = :id)",
            {"head": as_written(entry.get("head_id") or ""), "id": entry["id"]},
        )
        catching_up.conversation(connection, entry)
    # an older export, or a head whose own line is broken: the newest message
    connection.execute(
        "UPDATE conversation SET head_id = (SELECT id FROM message WHERE conversation_id = conversation.id"
        " ORDER BY created_at DESC, rowid DESC LIMIT 1) WHERE head_id IS NULL"
    )
    for _, entry in lines["memory"]:
        connection.execute(
            "UPDATE memory SET superseded_by = :by WHERE id = :id AND superseded_by IS NULL"
            " AND valid_to IS NOT NULL AND EXISTS (SELECT 1 FROM memory WHERE id = :by)",
            {"by": as_written(entry.get("superseded_by") or ""), "id": entry["id"]},
        )


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> bool:
    """True when the row is new. OR IGNORE would hide a broken row, so the key is looked up."""
    key = next(iter(row)) if table != "shown" else None
    if key is not None and _there(connection, table, row[key], key):
        return False
    ignore = "OR IGNORE " if table == "shown" else ""
    connection.execute(
        f"INSERT {ignore}INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        tuple(row.values()),
    )
    return True


def _there(connection: sqlite3.Connection, table: str, value: str, key: str = "id") -> bool:
    return connection.execute(f"SELECT 1 FROM {table} WHERE {key} = ?", (value,)).fetchone() is not None


def _read(raw: bytes) -> Any:
    """What a line says. In what a model wrote, a number that JSON does not have is taken as text, since homes
    once held such tool calls; anywhere else it is a ValueError."""
    try:
        return json.loads(raw, parse_float=_finite, parse_constant=_finite)
    except ValueError:
        entry = json.loads(raw)
        if not isinstance(entry, dict):
            raise
        for holder, name in ((entry, "tool_calls"), (entry.get("generation"), "messages")):
            if isinstance(holder, dict) and name in holder:
                holder[name] = finite(holder[name])
        return json.loads(json.dumps(entry), parse_float=_finite, parse_constant=_finite)


def _finite(number: str) -> float:
    """SQLite reads no JSON with NaN or infinity in it, which Python writes and reads."""
    if not math.isfinite(value := float(number)):
        raise ValueError(f"it holds the number {number}")
    return value


def _seq(event: Any) -> int:
    seq = event.get("seq") if isinstance(event, dict) else None
    return seq if isinstance(seq, int) else 0


def _moment(entry: dict[str, Any]) -> float:
    """When it was made; 0.0 for what is no number, and is refused in its turn if it cannot be read as one."""
    at = entry.get("created_at")
    return at if isinstance(at, int | float) else 0.0
