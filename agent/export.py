"""A home as a file: JSON lines with everything, or Markdown to read.

In JSON lines each line is one thing, named by its "type": conversation, message (with how a reply came about
and what was thought of it), memory, card, withheld, unlearned, document (with its passages).
`agent/importing.py` reads them back.

A file that is there already is replaced only when it was an export before, or when that is asked for.
"""

from __future__ import annotations

import json
import os
import re
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


# What a line of each type holds, by which an earlier export is known. The oldest named no type.
FIELDS = {
    "conversation": {"id", "title", "updated_at"},
    "message": {"id", "conversation_id", "parent_id", "role"},
    "memory": {"id", "text", "kind", "created_at"},
    "card": {"feature", "state"},
    "withheld": {"reply_id"},
    "unlearned": {"message_id"},
    "document": {"path", "passages"},
}
LONGEST = 100_000_000  # bytes of a line; a longer one is not ours, or holds what no message may
# How an earlier export begins in Markdown: with a conversation, else a memory, the card or a document.
HEADINGS = re.compile(
    r"# [^\n]*\n\n\d{4}-\d\d-\d\d \d\d:\d\d UTC\n+(?:# |## (?:You|Attune|Tool )|\Z)"
    r"|# Memories\n\n- [^\n]* \((?:told|added by hand|inferred); \d{4}-"
    r"|\n# Card\n\n- [^\n]* \((?:pinned|struck)\)"
    r"|\n# Documents\n\n- [^\n]*; learned \d{4}-"
)
BEGINNING = 20_000  # bytes in which all of that stands


class ExportError(AttuneError):
    """The file could not be written."""


def export(journal: Journal, path: Path, force: bool = False) -> Counter[str]:
    """Write everything to `path` (.jsonl or .md), all or nothing; returns how many there are of each type.

    Raises ExportError, also for a file that is there already and was no export, unless `force` replaces it.
    """
    writers = {".jsonl": _json_lines, ".md": _markdown, ".markdown": _markdown}
    writer = writers.get(path.suffix.casefold())
    if writer is None:
        raise ExportError(f"Export writes .jsonl or .md files, not {path.name!r}.")
    if not (force or _free(path, HEADINGS if writer is _markdown else None)):
        raise ExportError(
            f"{path} is there already and is no earlier export, so nothing was written: name another file; "
            "`attune export --force` replaces it."
        )
    beside = path.with_name(f".{path.name}.partial")
    counts = Counter(message=0)
    try:
        # A lone surrogate, which UTF-8 does not have, is written as JSON spells it: \ud83d.
        with beside.open("w", encoding="utf-8", errors="backslashreplace") as out:
            for conversation in reversed(journal.conversations(limit=EVERYTHING)):
                messages = journal.messages(conversation.id)
                counts["message"] += len(messages)
                out.writelines(f"{line}\n" for line in writer(journal, conversation, messages, counts))
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


def _free(path: Path, headings: re.Pattern[str] | None) -> bool:
    """Whether nothing is lost when `path` is replaced: no such file, an empty one, or an earlier export.

    A folder is left to whoever tries to write there, and says that it cannot be done.
    """
    if not os.path.isfile(path):  # not read: a pipe could keep us waiting for ever
        return os.path.isdir(path) or not os.path.exists(path)
    try:
        with path.open("rb") as file:
            if headings is not None:
                beginning = file.read(BEGINNING).decode("utf-8", errors="replace")
                return not beginning or headings.match(beginning) is not None
            line = file.readline(LONGEST)
            return not line or _is_ours(line)
    except OSError:
        return False


def _is_ours(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(entry, dict):
        return False
    fields = FIELDS.get(str(entry.get("type", "message")))
    return fields is not None and fields <= entry.keys()


def _json_lines(
    journal: Journal, conversation: Conversation, messages: list[Message], counts: Counter[str]
) -> Iterator[str]:
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
            if feedback := journal.feedback(message.id):
                counts["rating"] += len(feedback)
            entry["feedback"] = [asdict(event) for event in feedback]
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


def _markdown(
    journal: Journal, conversation: Conversation, messages: list[Message], counts: Counter[str]
) -> Iterator[str]:
    yield f"# {conversation.title or 'Conversation'}\n"
    yield f"{_when(conversation.created_at)} UTC\n"
    branch = journal.path(conversation.head_id) if conversation.head_id else []
    shown = {message.id for message in branch}
    for message in branch:
        yield from _section(journal, message, "", counts)
    for message in messages:
        if message.id not in shown:
            yield from _section(journal, message, " (another branch)", counts)


def _section(journal: Journal, message: Message, note: str, counts: Counter[str]) -> Iterator[str]:
    names = {"user": "You", "assistant": "Attune", "tool": f"Tool {message.tool_name}"}
    marks, better, given = _thoughts(journal, message) if message.role == "assistant" else ("", None, 0)
    if given:
        counts["rating"] += given
    yield f"## {names[message.role]}{marks}{note}\n"
    body = message.content
    if not body and message.tool_calls:
        body = "\n".join(f"`{call['name']}({json.dumps(call['arguments'])})`" for call in message.tool_calls)
    yield f"{body}\n"
    if better is not None:
        yield f"### Your version\n\n{better}\n"


def _thoughts(journal: Journal, reply: Message) -> tuple[str, str | None, int]:
    """What the owner thinks of a reply: (marks for its heading, their own version of it or None, how many
    ratings that tells of)."""
    marks, given = "", 0
    thumb = journal.effective(reply.id)
    if thumb is not None:
        marks += " 👍" if thumb.value > 0 else " 👎"
        if thumb.why:
            marks += f" \u201c{' '.join(thumb.why.split())}\u201d"
        given += 1
    events = sorted(journal.feedback(reply.id), key=lambda event: (event.created_at, event.seq))
    over = {event.other_id for event in events if event.kind == "pick" and event.other_id}
    newest = [journal.newest_pick(reply.id, other) for other in over]
    picks = sum(pick is not None and pick.reply_id == reply.id for pick in newest)
    if picks:
        marks += " (picked)"
        given += picks
    edits = [event.text for event in events if event.kind == "edit"]
    return marks, edits[-1] if edits else None, given + bool(edits)


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
