"""The journal as a file: JSON lines with everything, or Markdown to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from memory.errors import AttuneError, NotFound
from memory.journal import Journal
from memory.records import Conversation, Message

EVERYTHING = 1_000_000


class ExportError(AttuneError):
    """The file could not be written."""


def export(journal: Journal, path: Path) -> int:
    """Write all conversations to `path` (.jsonl or .md); returns how many messages. All or nothing."""
    writers = {".jsonl": _json_lines, ".md": _markdown, ".markdown": _markdown}
    writer = writers.get(path.suffix.casefold())
    if writer is None:
        raise ExportError(f"Export writes .jsonl or .md files, not {path.name!r}.")
    beside = path.with_name(f".{path.name}.partial")
    count = 0
    try:
        with beside.open("w", encoding="utf-8") as out:
            for conversation in reversed(journal.conversations(limit=EVERYTHING)):
                messages = journal.messages(conversation.id)
                count += len(messages)
                out.writelines(f"{line}\n" for line in writer(journal, conversation, messages))
        beside.replace(path)
    except OSError as wrong:
        raise ExportError(f"{path} cannot be written ({wrong.strerror}); choose another place.") from wrong
    finally:
        beside.unlink(missing_ok=True)
    return count


def _json_lines(journal: Journal, conversation: Conversation, messages: list[Message]) -> Iterator[str]:
    for message in messages:
        entry = {**asdict(message), "conversation_title": conversation.title}
        if message.role == "assistant":
            try:
                entry["generation"] = asdict(journal.generation(message.id))
            except NotFound:
                entry["generation"] = None
            entry["feedback"] = [asdict(event) for event in journal.feedback(message.id)]
        yield json.dumps(entry, ensure_ascii=False)


def _markdown(journal: Journal, conversation: Conversation, messages: list[Message]) -> Iterator[str]:
    started = datetime.fromtimestamp(conversation.created_at, UTC)
    yield f"# {conversation.title or 'Conversation'}\n"
    yield f"{started:%Y-%m-%d %H:%M} UTC\n"
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
