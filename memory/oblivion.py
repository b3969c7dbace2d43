"""Where the words of a forgotten memory stand, and taking them out: messages, prompts, backups, logs.

Three kinds of traces are sought:

- the text itself, in whatever case, everywhere (from three words on: "tea" stands in many texts);
- in the conversations that told or were shown it, its *telling* words: those written like a name or a code,
  which would give it away in a reply that says it in other words ("Your dog is called Fitzo.");
- in the message that told it, the sentence that says it.

In their place stands "(forgotten)". Token ids of such prompts and replies go as well: they spell the words.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memory.database import Database
from memory.errors import AttuneError
from memory.records import FORGOTTEN, Memory
from memory.wording import SENTENCE, content

FEWEST_WORDS = 3
LONG = 200_000  # characters of a prompt that is searched by phrase and word only
# (table, key, column) of further texts
ELSEWHERE = (
    ("feedback", "id", "text"), ("feedback", "id", "why"), ("conversation", "id", "title"),
    ("card_choice", "feature", "text"),
)  # fmt: skip
# texts in the report of an adapter, which may have learned the words
REPORTED = ("samples", "reasons")
_NAME_LIKE = re.compile(r"(?<!^)\b[^\W\d_]*[A-Z][\w'-]*|\b[\w-]*\d[\w-]*")


def telling(memories: Sequence[Memory]) -> set[str]:
    """The words of the memories that are written like a name or a code, not the first of a sentence."""
    found = {word for memory in memories for word in _NAME_LIKE.findall(memory.text)}
    return {word for word in found if len(word) >= 3}


def blot(db: Database, memories: Sequence[Memory]) -> None:
    """Take the words of `memories`, which are being forgotten, out of all that was said and shown.

    The messages that told them are noted by id, so that nothing is learned from them a second time.
    """
    near = _conversations(db, memories)
    phrases = _phrases(memories)
    far, close = _matcher(phrases), _matcher([*phrases, *telling(memories)])
    told = {one.source_message_id: one.text for one in memories if one.source_message_id}
    with db.transaction() as connection:
        changed: set[str] = set()
        for row in connection.execute(
            "SELECT id, conversation_id, content, sent, tool_calls FROM message"
        ).fetchall():
            blotted = close if row["conversation_id"] in near else far
            said = _without(blotted(row["content"]), told.get(row["id"]))
            # the prompt repeats the message: without its sentence there as well
            sent = None if row["sent"] is None else _without(blotted(row["sent"]), told.get(row["id"]))
            calls = _in_json(row["tool_calls"], blotted)
            if (said, calls) != (row["content"], row["tool_calls"]):
                changed.add(row["id"])
            if (said, sent, calls) != (row["content"], row["sent"], row["tool_calls"]):
                connection.execute(
                    "UPDATE message SET content = ?, sent = ?, tool_calls = ? WHERE id = ?",
                    (said, sent, calls, row["id"]),
                )
        for row in connection.execute(
            "SELECT reply_id, body, conversation_id FROM generation JOIN message ON message.id = reply_id"
        ).fetchall():
            blotted = close if row["conversation_id"] in near else far
            fields = json.loads(row["body"])
            left = _replaced(fields, partial(_blotted_prompt, blotted, tuple(told.values())))
            if left != fields:
                left["prompt_ids"] = []
            if row["reply_id"] in changed:
                left["completion_ids"] = []
            if left != fields:
                connection.execute(
                    "UPDATE generation SET body = ? WHERE reply_id = ?", (json.dumps(left), row["reply_id"])
                )
        for table, key, column in ELSEWHERE:
            for row in connection.execute(
                f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"
            ).fetchall():
                blotted = close if row[key] in near else far
                if (text := blotted(row[column])) != row[column]:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (text, row[key]))
        if db.row("SELECT 1 FROM sqlite_master WHERE name = 'adapters'"):
            for row in connection.execute("SELECT number, report FROM adapters").fetchall():
                report = json.loads(row["report"])
                left = report | {name: _replaced(report[name], close) for name in REPORTED if name in report}
                if left != report:
                    connection.execute(
                        "UPDATE adapters SET report = ? WHERE number = ?", (json.dumps(left), row["number"])
                    )
        connection.executemany(
            "INSERT OR IGNORE INTO unlearned SELECT id FROM message WHERE id = ?", [(one,) for one in told]
        )


def blot_files(home: Path, memories: Sequence[Memory]) -> None:
    """The same for the backups and the logs of a home.

    A backup that is a database is opened and forgets as well; any other file of that folder that holds the
    words, or cannot be looked into, is deleted.
    """
    close = _matcher([*_phrases(memories), *telling(memories)])
    for path in sorted((home / "backups").rglob("*")):
        if not path.is_file() or path.name.endswith(("-wal", "-shm", "-journal")):
            continue
        if _is_database(path):
            _forget_in_backup(path, memories)
        else:
            text = _text(path)
            if text is None or close(text) != text:
                shred(path)
    for path in sorted((home / "logs").rglob("*")):
        text = _text(path) if path.is_file() else None
        if text is not None and (left := close(text)) != text:
            shred(path, left.encode())


def shred(path: Path, left: bytes | None = None) -> None:
    """Overwrite a file with zeros; then write `left` into it or, without it, delete it."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        while size > 0:
            size -= file.write(b"\0" * min(size, 1 << 20))
        file.flush()
        os.fsync(file.fileno())
        if left is not None:
            file.seek(0)
            file.write(left)
            file.truncate()
    if left is None:
        path.unlink()


def vacuum(db: Database) -> None:
    """Write the file anew without what was deleted; left to the next time while another process reads."""
    try:
        db.connection().execute("VACUUM")
    except sqlite3.OperationalError:
        pass  # secure_delete has overwritten the rows all the same


def _forget_in_backup(path: Path, memories: Sequence[Memory]) -> None:
    from memory.facts import Facts

    try:
        db = Database(path)
        try:
            facts = Facts(db)
            with db.transaction():
                for one in memories:
                    if db.row("SELECT 1 FROM memory WHERE id = ?", (one.id,)):
                        facts.forget(one.id)
                blot(db, memories)
            vacuum(db)
            db.scrub()
        finally:
            db.close()
    except (AttuneError, sqlite3.Error):
        shred(path)
    for left in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if left.is_file():
            shred(left)


def _conversations(db: Database, memories: Sequence[Memory]) -> set[str]:
    """Ids of the conversations that told or were shown one of these."""
    ids = json.dumps([one.id for one in memories])
    told = json.dumps([one.source_message_id for one in memories if one.source_message_id])
    return {
        row["conversation_id"]
        for row in db.rows(
            "SELECT conversation_id FROM message WHERE id IN (SELECT value FROM json_each(:told))"
            " UNION SELECT conversation_id FROM message JOIN shown ON shown.reply_id = message.id"
            " WHERE memory_id IN (SELECT value FROM json_each(:ids))",
            {"ids": ids, "told": told},
        )
    }


def _phrases(memories: Sequence[Memory]) -> list[str]:
    return [one.text.rstrip(". ") for one in memories if len(one.text.split()) >= FEWEST_WORDS]


def _matcher(needles: Sequence[str]) -> Callable[[str], str]:
    """A function that puts FORGOTTEN in the place of the needles, whatever their case and spaces."""
    patterns = [
        r"\s+".join(re.escape(word) for word in needle.split())
        for needle in sorted(set(needles), key=lambda one: -len(one))
    ]
    if not patterns:
        return lambda text: text
    sought = re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE)
    return lambda text: sought.sub(FORGOTTEN, text)


def _without(text: str, fact: str | None) -> str:
    """`text` without the sentences that say `fact` in other words."""
    wanted = content(fact) if fact is not None else set()
    if not wanted:
        return text
    for sentence in SENTENCE.split(text):
        if sentence and wanted <= content(sentence):
            text = text.replace(sentence, FORGOTTEN)
    return text


def _blotted_prompt(blotted: Callable[[str], str], facts: Sequence[str], text: str) -> str:
    return _all_without(blotted(text), facts)


def _all_without(text: str, facts: Iterable[str]) -> str:
    for fact in facts:
        text = _without(text, fact) if len(text) < LONG else text
    return text


def _in_json(text: str, blotted: Callable[[str], str]) -> str:
    value = json.loads(text)
    left = _replaced(value, blotted)
    return text if left == value else json.dumps(left)


def _replaced(value: Any, blotted: Callable[[str], str]) -> Any:
    """`value` with every string inside it blotted, keys too."""
    if isinstance(value, str):
        return blotted(value)
    if isinstance(value, dict):
        return {blotted(key): _replaced(inner, blotted) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, blotted) for inner in value]
    return value


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
