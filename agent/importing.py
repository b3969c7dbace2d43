"""An exported home read back: what it holds is added to this one, and the same file twice adds nothing.

Ids are kept, so that ratings, provenance and usefulness mean what they meant. A line that cannot be read is
named and left out; whatever does not need it is still taken: a message whose parent is missing starts a
branch of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from agent.export import amounts
from memory.database import Database
from memory.documents.records import Document
from memory.documents.store import DocumentStore, Row
from memory.errors import AttuneError
from memory.journal import generation_body
from memory.records import Conversation, Feedback, Generation, Memory, Message, Recalled, tried
from memory.text import as_written, message_text, one_line
from memory.validity import fold

SHOWN = 20  # broken lines that are named one by one
# Lines are taken in this order whatever their order in the file: what others point at comes first.
ORDER = ("conversation", "message", "memory", "card", "withheld", "unlearned", "document")


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
    lines: dict[str, list[tuple[int, dict[str, Any]]]] = {kind: [] for kind in ORDER}
    for number, entry in _entries(path, done):
        lines[entry["type"]].append((number, entry))
    if done.broken and not any(lines.values()):
        raise ImportError_(f"{path} is no export of Attune: {done.broken[0]}")
    events: list[tuple[int, dict[str, Any]]] = []
    takers = TAKERS | {"document": partial(_document, DocumentStore(db))}
    with db.transaction() as connection:
        for kind in ORDER:
            # parents before their children, memories before what replaced them is pointed at
            for number, entry in sorted(lines[kind], key=lambda one: one[1].get("created_at") or 0.0):
                _take(connection, done, number, kind, partial(takers[kind], connection, entry))
                if kind == "message":
                    events += [(number, event) for event in entry.get("feedback") or ()]
        for number, event in sorted(events, key=lambda one: _seq(one[1])):
            _take(connection, done, number, "rating", partial(_feedback, connection, event))
        _link(connection, lines)
    return done


def _entries(path: Path, done: Imported) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.casefold() != ".jsonl":
        raise ImportError_(f"Import reads .jsonl files that `attune export` wrote, not {path.name!r}.")
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                try:
                    entry = json.loads(raw)
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
) -> None:
    """One thing, or none of it: what fails is undone to a savepoint and named."""
    connection.execute("SAVEPOINT one")
    try:
        new = take()
    except (KeyError, TypeError, ValueError, AttributeError, sqlite3.Error, AttuneError) as wrong:
        connection.execute("ROLLBACK TO one")
        why = f"{wrong} is missing" if isinstance(wrong, KeyError) else str(wrong)
        done.broken.append(f"line {number}: {why}")
    else:
        if new:
            done.added[kind] = done.added.get(kind, 0) + 1
        else:
            done.known += 1
    connection.execute("RELEASE one")


def _conversation(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = _record(Conversation, entry)
    return _insert(
        connection, "conversation",
        {
            "id": one.id, "title": as_written(one.title), "created_at": one.created_at,
            "updated_at": one.updated_at,
        },
    )  # fmt: skip


def _message(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = _record(Message, entry)
    if one.role == "user":
        message_text(one.content)
    told = entry.get("conversation") or {  # older exports told its title only
        "id": one.conversation_id, "title": str(entry.get("conversation_title") or ""),
        "created_at": one.created_at, "updated_at": one.created_at,
    }  # fmt: skip
    _conversation(connection, told)
    parent = one.parent_id
    if parent is not None and not _there(connection, "message", parent):
        parent = None
    new = _insert(
        connection, "message",
        {
            "id": one.id, "conversation_id": one.conversation_id, "parent_id": parent, "role": one.role,
            "content": as_written(one.content), "created_at": one.created_at,
            "sent": None if one.sent is None else as_written(one.sent),
            "tool_calls": json.dumps(list(one.tool_calls)), "tool_name": one.tool_name,
            "complete": int(one.complete),
        },
    )  # fmt: skip
    if new and (came := entry.get("generation")) is not None:
        fixed = {name: tuple(value) if isinstance(value, list) else value for name, value in came.items()}
        fixed["recalled"] = tuple(Recalled(**shown) for shown in came.get("recalled", ()))
        made = _record(Generation, {**fixed, "trial": tried(came.get("trial")), "reply_id": one.id})
        row = {"reply_id": one.id, "base": made.base, "adapter": made.adapter, "body": generation_body(made)}
        _insert(connection, "generation", row)
        for shown in made.recalled:
            _insert(connection, "shown", {"reply_id": one.id, "memory_id": shown.memory_id})
    return new


def _feedback(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = _record(Feedback, entry)
    row = {
        name: getattr(one, name)
        for name in ("id", "reply_id", "kind", "value", "created_at", "why", "text", "other_id", "source")
    }
    return _insert(connection, "feedback", row)


def _memory(connection: sqlite3.Connection, entry: dict[str, Any]) -> bool:
    one = _record(Memory, entry)
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
    if store.get(Path(entry["path"])) is not None:
        return False
    rows = [Row(0, "", **passage) for passage in entry["passages"]]
    one = _record(Document, {**entry, "passages": len(rows)})
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


def _link(connection: sqlite3.Connection, lines: dict[str, list[tuple[int, dict[str, Any]]]]) -> None:
    """What points at rows that may come later in the file: heads, and what replaced a memory."""
    told = {
        one["id"]: one for _, entry in lines["message"] if isinstance(one := entry.get("conversation"), dict)
    }
    for entry in told.values():
        connection.execute(
            "UPDATE conversation SET head_id = :head WHERE id = :id AND head_id IS NULL"
            " AND EXISTS (SELECT 1 FROM message WHERE id = :head AND conversation_id = :id)",
            {"head": entry.get("head_id"), "id": entry.get("id")},
        )
    # an older export, or a head whose own line is broken: the newest message
    connection.execute(
        "UPDATE conversation SET head_id = (SELECT id FROM message WHERE conversation_id = conversation.id"
        " ORDER BY created_at DESC, rowid DESC LIMIT 1) WHERE head_id IS NULL"
    )
    for _, entry in lines["memory"]:
        connection.execute(
            "UPDATE memory SET superseded_by = :by WHERE id = :id AND superseded_by IS NULL"
            " AND valid_to IS NOT NULL AND EXISTS (SELECT 1 FROM memory WHERE id = :by)",
            {"by": entry.get("superseded_by"), "id": entry.get("id")},
        )


def _record(kind: type[Any], entry: dict[str, Any]) -> Any:
    """The fields of `kind` in `entry`; KeyError for one that is missing and has no default."""
    known = {one.name for one in fields(kind)}
    try:
        return kind(**{name: value for name, value in entry.items() if name in known})
    except TypeError as wrong:
        raise ValueError(f"a {kind.__name__.casefold()} with fields missing ({wrong})") from wrong


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


def _seq(event: Any) -> int:
    seq = event.get("seq") if isinstance(event, dict) else None
    return seq if isinstance(seq, int) else 0
