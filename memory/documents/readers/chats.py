"""Exports of chats: `conversations.json` of ChatGPT and of Claude. Places are messages, counted through the
file; the title of a conversation is its heading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from memory.documents.readers.plain import decode
from memory.documents.records import Parsed, Unreadable
from memory.text import as_written

NAMES = {"user": "User", "human": "User", "assistant": "Assistant"}


def is_export(data: bytes) -> bool:
    """Whether it looks like one, without being parsed."""
    head = data[:200_000]
    return (b'"mapping"' in head and b'"author"' in data) or (
        b'"chat_messages"' in head and b'"sender"' in data
    )


def read(data: bytes) -> Parsed:
    try:
        found = json.loads(decode(data))
    except (json.JSONDecodeError, RecursionError) as broken:
        raise Unreadable("it is broken JSON") from broken
    talks = found if isinstance(found, list) else found.get("conversations", [found])
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    at = number = 0
    for talk in talks:
        if not isinstance(talk, dict):
            continue
        title = " ".join(str(talk.get("title") or talk.get("name") or "").split())
        said = list(_chatgpt(talk) if "mapping" in talk else _claude(talk))
        heading = f"# {as_written(title) or 'A conversation'}\n\n" if said else ""
        for role, text in said:
            number += 1
            marks.append((at, number))
            # What was said may hold headings of its own, which must not end that of the conversation.
            body = "\n".join(f"#{line}" if line.startswith("#") else line for line in text.split("\n"))
            parts.append(f"{heading}**{role}:** {as_written(body).strip()}\n\n")
            heading = ""
            at += len(parts[-1])
    return Parsed("".join(parts), "message", tuple(marks))


def _chatgpt(talk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """From the root down to the leaf that was looked at last: a tree holds edited branches too."""
    nodes = talk["mapping"] if isinstance(talk["mapping"], dict) else {}
    at: Any = talk.get("current_node") or next(reversed(nodes), None)
    path: list[dict[str, Any]] = []
    seen: set[str] = set()
    while isinstance(at, str) and at in nodes and at not in seen:
        seen.add(at)
        path.append(nodes[at])
        at = nodes[at].get("parent")
    for node in reversed(path):
        message = node.get("message") or {}
        role = NAMES.get((message.get("author") or {}).get("role", ""))
        content = message.get("content") or {}
        pieces = [one for one in content.get("parts") or [] if isinstance(one, str)]
        text = "\n".join(pieces) or str(content.get("text") or "")
        if role and text.strip():
            yield role, text


def _claude(talk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for message in talk.get("chat_messages") or []:
        role = NAMES.get(message.get("sender", ""))
        pieces = [
            str(one.get("text") or "") for one in message.get("content") or [] if one.get("type") == "text"
        ]
        text = "\n".join(piece for piece in pieces if piece.strip()) or str(message.get("text") or "")
        if role and text.strip():
            yield role, text
