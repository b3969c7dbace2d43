"""Exports of chats: `conversations.json` of ChatGPT and of Claude. Places are messages, counted through the
file; the title of a conversation is its heading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from memory.documents.readers.plain import FENCE, decode, lowered
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
    """Whatever it holds that is no message is left out."""
    try:
        found = json.loads(decode(data))
    except (json.JSONDecodeError, RecursionError) as broken:
        raise Unreadable("it is broken JSON") from broken
    talks = found.get("conversations", [found]) if isinstance(found, dict) else found
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    at = number = 0
    for talk in talks if isinstance(talks, list) else []:
        if not isinstance(talk, dict):
            continue
        title = " ".join(str(talk.get("title") or talk.get("name") or "").split())
        said = list(_chatgpt(talk) if "mapping" in talk else _claude(talk))
        heading = f"# {as_written(title) or 'A conversation'}\n\n" if said else ""
        for role, text in said:
            number += 1
            marks.append((at, number))
            # What was said may hold headings of its own, which must not end that of the conversation.
            body = as_written(lowered(text)).strip()
            gap = "\n\n" if FENCE.match(body) else " "  # code begins on a line of its own
            parts.append(f"{heading}**{role}:**{gap}{body}\n\n")
            heading = ""
            at += len(parts[-1])
    return Parsed("".join(parts), "message", tuple(marks))


def _chatgpt(talk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """From the root down to the leaf that was looked at last: a tree holds edited branches too."""
    nodes = _dict(talk["mapping"])
    at: Any = talk.get("current_node") or next(reversed(nodes), None)
    path: list[dict[str, Any]] = []
    seen: set[str] = set()
    while isinstance(at, str) and at in nodes and at not in seen:
        seen.add(at)
        path.append(_dict(nodes[at]))
        at = path[-1].get("parent")
    for node in reversed(path):
        message = _dict(node.get("message"))
        role = NAMES.get(str(_dict(message.get("author")).get("role")))
        content = _dict(message.get("content"))
        pieces = [one for one in _list(content.get("parts")) if isinstance(one, str)]
        text = "\n".join(pieces) or str(content.get("text") or "")
        if role and text.strip():
            yield role, text


def _claude(talk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each message with what was pasted into it, under the name of the file that Claude made of it."""
    for message in map(_dict, _list(talk.get("chat_messages"))):
        role = NAMES.get(str(message.get("sender")))
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else _list(content)
        pieces = [str(one.get("text") or "") for one in map(_dict, blocks) if one.get("type") == "text"]
        said = "\n".join(piece for piece in pieces if piece.strip()) or str(message.get("text") or "")
        pasted = [
            f"**{one.get('file_name') or 'Attachment'}:**\n\n{one['extracted_content']}"
            for one in map(_dict, _list(message.get("attachments")))
            if str(one.get("extracted_content") or "").strip()
        ]
        text = "\n\n".join(piece for piece in [said, *pasted] if piece.strip())
        if role and text:
            yield role, text


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
