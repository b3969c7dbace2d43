"""Texts that the owner brought along to be imitated: files in the `imports` folder of a home.

Nothing is copied into the database: what is taken out of the folder is out of the next adapter. Two kinds
of file are read, in the order of their names:

- `.jsonl`: a chat a line, as most datasets have it: {"messages": [{"role", "content"}, …]}. Every
  assistant turn is a reply to imitate, under all that was said before it.
- `.txt` and `.md`: prose. Every paragraph is what the policy should have written when asked for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.errors import AttuneError

FOLDER = "imports"
ROLES = ("system", "user", "assistant", "tool")
PARAGRAPH = re.compile(r"\n\s*\n")
PROSE = "Write a paragraph."
# a heading or a line of dots is nothing to imitate
FEWEST_WORDS = 4


class BadImport(AttuneError):
    """A file that cannot be read; the sentence names the place."""


@dataclass(frozen=True, slots=True)
class Text:
    """`reply` is to be imitated after `messages`. `file` is the name of where it stands."""

    messages: tuple[dict[str, Any], ...]
    reply: str
    file: str


def imported(home: Path) -> list[Text]:
    """Everything in the folder, or [] where there is none. Raises BadImport."""
    folder = home / FOLDER
    if not folder.is_dir():
        return []
    found: list[Text] = []
    for path in sorted(folder.iterdir()):
        read = {".jsonl": _chats, ".txt": _prose, ".md": _prose}.get(path.suffix.lower())
        if read is None or not path.is_file():
            continue
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise BadImport(f"{path} cannot be read as UTF-8 text; mend it or take it out.") from error
        found += read(content, path)
    return found


def _prose(content: str, path: Path) -> Iterator[Text]:
    for paragraph in PARAGRAPH.split(content):
        if len(paragraph.split()) >= FEWEST_WORDS:
            yield Text(({"role": "user", "content": PROSE},), paragraph.strip(), path.name)


def _chats(content: str, path: Path) -> Iterator[Text]:
    # not splitlines: a JSON string may hold U+2028 and its like as they are, and they end no line of JSONL
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            messages = [_turn(turn) for turn in json.loads(line)["messages"]]
        except (ValueError, KeyError, TypeError) as error:
            raise BadImport(
                f'{path}, line {number}, is no chat; a line is {{"messages": [{{"role": "user", "content": '
                '"…"}, {"role": "assistant", "content": "…"}]}.'
            ) from error
        for at, turn in enumerate(messages):
            before = tuple(messages[:at])
            asked = any(one["role"] == "user" for one in before)
            if turn["role"] == "assistant" and turn["content"].strip() and asked:
                yield Text(before, turn["content"].strip(), path.name)


def _turn(turn: Any) -> dict[str, Any]:
    if turn["role"] not in ROLES or not isinstance(turn["content"], str):
        raise ValueError(turn)
    return {"role": turn["role"], "content": turn["content"]}
