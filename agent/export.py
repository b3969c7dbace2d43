"""A home as a file: JSON lines with everything, or Markdown to read.

In JSON lines each line is one thing, named by its "type": conversation, message (with how a reply came about
and what was thought of it), memory, card, withheld, unlearned, document (with its passages).
`agent/importing.py` reads them back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory.documents.store import DocumentStore
from memory.errors import AttuneError, NotFound
from memory.facts import Facts
from memory.journal import Journal
from memory.records import Conversation, Memory, Message

EVERYTHING = 1_000_000
# How often a memory helped by hand, beside what the ratings say.
BUMPS = "SELECT id, bump_helped, bump_hurt FROM memory"


class ExportError(AttuneError):
    """The file could not be written."""


def export(journal: Journal, path: Path) -> Counter[str]:
    """Write everything to `path` (.jsonl or .md), all or nothing; returns how many there are of each type."""
    writers = {".jsonl": _json_lines, ".md": _markdown, ".markdown": _markdown}
    writer = writers.get(path.suffix.casefold())
    if writer is None:
        raise ExportError(f"Export writes .jsonl or .md files, not {path.name!r}.")
    beside = path.with_name(f".{path.name}.partial")
    counts = Counter(message=0)
    try:
        # A lone surrogate, which UTF-8 does not have, is written as JSON spells it: \ud83d.
        with beside.open("w", encoding="utf-8", errors="backslashreplace") as out:
            for conversation in reversed(journal.conversations(limit=EVERYTHING)):
                messages = journal.messages(conversation.id)
                counts["message"] += len(messages)
                out.writelines(f"{line}\n" for line in writer(journal, conversation, messages))
            rest = _rest_json(journal) if writer is _json_lines else _rest_markdown(journal)
            for kind, line in rest:
                counts[kind] += 1
                out.write(f"{line}\n")
        beside.replace(path)
    except OSError as wrong:
        raise ExportError(f"{path} cannot be written ({wrong.strerror}); choose another place.") from wrong
    finally:
        beside.unlink(missing_ok=True)
    return counts


def amounts(counts: Mapping[str, int]) -> str:
    """Such as "12 messages, 1 memory, 2 card lines"."""
    several = {"memory": "memories", "card": "card lines"}
    one = {"card": "card line"}
    return ", ".join(
        f"{number} {one.get(kind, kind)}"
        if number == 1
        else f"{number} {several.get(kind, kind if kind.endswith('ed') else f'{kind}s')}"
        for kind, number in counts.items()
    )


def _json_lines(journal: Journal, conversation: Conversation, messages: list[Message]) -> Iterator[str]:
    if not messages:
        yield _line("conversation", asdict(conversation))
    for message in messages:
        # with each message, so that no broken line can take its conversation along
        entry = {
            **asdict(message),
            "conversation_title": conversation.title,
            "conversation": asdict(conversation),
        }
        if message.role == "assistant":
            try:
                entry["generation"] = asdict(journal.generation(message.id))
            except NotFound:
                entry["generation"] = None
            entry["feedback"] = [asdict(event) for event in journal.feedback(message.id)]
        yield _line("message", entry)


def _rest_json(journal: Journal) -> Iterator[tuple[str, str]]:
    """(type, line) of what is no message."""
    db = journal.db
    bumps = {row["id"]: row for row in db.rows(BUMPS)}
    for memory in reversed(Facts(db).all(include_past=True)):
        bumped = bumps[memory.id]
        hand = {"bump_helped": bumped["bump_helped"], "bump_hurt": bumped["bump_hurt"]}
        yield "memory", _line("memory", {**asdict(memory), **hand})
    for kind, query in (
        ("card", "SELECT feature, state, text, created_at FROM card_choice ORDER BY created_at"),
        ("withheld", "SELECT reply_id FROM withheld ORDER BY reply_id"),
        ("unlearned", "SELECT message_id FROM unlearned ORDER BY message_id"),
    ):
        yield from ((kind, _line(kind, dict(row))) for row in db.rows(query))
    documents = DocumentStore(db)
    for document in documents.all():
        rows = [asdict(row) for row in documents.rows_of(document.id)]
        for row in rows:
            del row["id"], row["document_id"]
        yield "document", _line("document", {**asdict(document), "passages": rows})


def _line(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def _markdown(journal: Journal, conversation: Conversation, messages: list[Message]) -> Iterator[str]:
    yield f"# {conversation.title or 'Conversation'}\n"
    yield f"{_when(conversation.created_at)} UTC\n"
    branch = journal.path(conversation.head_id) if conversation.head_id else []
    shown = {message.id for message in branch}
    for message in branch:
        yield from _section(journal, message, "")
    for message in messages:
        if message.id not in shown:
            yield from _section(journal, message, " (another branch)")


def _section(journal: Journal, message: Message, note: str) -> Iterator[str]:
    names = {"user": "You", "assistant": "Attune", "tool": f"Tool {message.tool_name}"}
    rating = journal.effective(message.id) if message.role == "assistant" else None
    mark = {1: " 👍", -1: " 👎"}.get(rating.value, "") if rating else ""
    yield f"## {names[message.role]}{mark}{note}\n"
    body = message.content
    if not body and message.tool_calls:
        body = "\n".join(f"`{call['name']}({json.dumps(call['arguments'])})`" for call in message.tool_calls)
    yield f"{body}\n"


def _rest_markdown(journal: Journal) -> Iterator[tuple[str, str]]:
    """(type, text) of what is no message; documents by name alone, since their files can be read."""
    memories = Facts(journal.db).all(include_past=True)
    heading = "# Memories\n\n"
    for memory in reversed(memories):
        yield "memory", f"{heading}- {memory.text} ({_about(memory)})"
        heading = ""
    heading = "\n# Card\n\n"
    for row in journal.db.rows("SELECT state, text FROM card_choice ORDER BY created_at"):
        yield "card", f"{heading}- {row['text']} ({row['state']})"
        heading = ""
    heading = "\n# Documents\n\n"
    for one in DocumentStore(journal.db).all():
        yield "document", f"{heading}- {one.path} ({one.format}; learned {_when(one.learned_at)})"
        heading = ""


def _about(memory: Memory) -> str:
    """Where a memory came from, and when it held."""
    told = "told" if memory.source_message_id else "added by hand"
    parts = ["inferred" if memory.origin == "inferred" else told, _when(memory.created_at)]
    if memory.valid_to is not None:
        parts.append(f"{memory.ended or 'ended'}, until {_when(memory.valid_to)}")
    if memory.helped or memory.hurt:
        parts.append(f"useful {memory.usefulness:.0%}")
    return "; ".join(parts)


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"
