"""Where the words of a forgotten memory stand, and taking them out: messages, prompts, backups, logs.

Three kinds of traces are sought (needles.py):

- the text itself, everywhere;
- in the conversations that told or were shown it, its telling words, names and codes;
- in the message that told it, and in the prompts that repeat that message, the sentence that says it.

In their place stands "(forgotten)". Token ids of such prompts and replies go as well: they spell the words.
What holds a prompt together (keys, roles, names of tools) is left as it is, whatever the memory said.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memory.database import Database
from memory.errors import AttuneError
from memory.forgetting.needles import matcher, phrases, telling
from memory.records import FORGOTTEN, Memory
from memory.statements.wording import SENTENCE, content

# (table, what tells a row, column, the conversation a row belongs to) of further texts
ELSEWHERE = (
    ("feedback", "id", "text", "(SELECT conversation_id FROM message WHERE message.id = reply_id)"),
    ("feedback", "id", "why", "(SELECT conversation_id FROM message WHERE message.id = reply_id)"),
    ("conversation", "id", "title", "id"),
    ("card_choice", "feature", "text", "NULL"),
)
# texts in the body of a generation; its other fields say how it came about, in words of ours
SHOWN = ("messages", "prompt_text", "recalled", "passages", "card_lines")
PROMPTS = "generation JOIN message ON message.id = reply_id"
BELOW = """
    WITH RECURSIVE below(id) AS (
        SELECT id FROM message WHERE parent_id = ?
        UNION SELECT m.id FROM message AS m JOIN below ON m.parent_id = below.id)
    SELECT id FROM below
"""
# texts in the report of an adapter, which may have learned the words
REPORTED = ("samples", "reasons")
# keys whose values are ours, but for the arguments of a tool call, which are the model's
STRUCTURE = ("role", "name", "type", "id", "tool_call_id", "memory_id", "document_id")


def blot(db: Database, memories: Sequence[Memory]) -> None:
    """Take the words of `memories`, which are being forgotten, out of all that was said and shown.

    The messages that told them are noted by id, so that nothing is learned from them a second time. Replies
    of which, or of whose prompt or feedback, anything was taken out are withheld from training (withheld.py):
    nobody should learn to say "(forgotten)".
    """
    near = _conversations(db, memories)
    whole = phrases(memories)
    far, close = matcher(whole), matcher(whole, telling(memories))
    told: dict[str, list[str]] = {}
    for one in memories:
        if one.source_message_id:
            told.setdefault(one.source_message_id, []).append(one.text)
    # by reply: the sentences of messages above it, which its prompt repeats
    repeated: dict[str, set[str]] = {}
    with db.transaction() as connection:
        changed: set[str] = set()
        prompts: set[str] = set()
        events: set[str] = set()
        for row in _each(connection, "message", "id", "id, conversation_id, content, sent, tool_calls"):
            blotted = close if row["conversation_id"] in near else far
            said, sent = blotted(row["content"]), None if row["sent"] is None else blotted(row["sent"])
            if facts := told.get(row["id"]):
                sentences = _saying(facts, said, sent or "")
                for (reply,) in connection.execute(BELOW, (row["id"],)):
                    repeated.setdefault(reply, set()).update(sentences)
                said, sent = _without(said, sentences), None if sent is None else _without(sent, sentences)
            calls = _in_json(row["tool_calls"], blotted)
            if (said, calls) != (row["content"], row["tool_calls"]):
                changed.add(row["id"])
            if (said, sent, calls) != (row["content"], row["sent"], row["tool_calls"]):
                connection.execute(
                    "UPDATE message SET content = ?, sent = ?, tool_calls = ? WHERE id = ?",
                    (said, sent, calls, row["id"]),
                )
        for row in _each(connection, PROMPTS, "reply_id", "reply_id, body, conversation_id"):
            blotted = close if row["conversation_id"] in near else far
            sentences = repeated.get(row["reply_id"], set())
            if not sentences and row["reply_id"] not in changed and blotted is far and not whole:
                continue
            fields = json.loads(row["body"])
            prompt = partial(_blotted_prompt, blotted, sentences)
            left = fields | {name: _replaced(fields[name], prompt) for name in SHOWN if name in fields}
            if left != fields:
                left["prompt_ids"] = []
            if row["reply_id"] in changed:
                left["completion_ids"] = []
            if left != fields:
                prompts.add(row["reply_id"])
                connection.execute(
                    "UPDATE generation SET body = ? WHERE reply_id = ?", (json.dumps(left), row["reply_id"])
                )
        for table, key, column, conversation in ELSEWHERE:
            for row in connection.execute(
                f"SELECT {key}, {column}, {conversation} AS said_in FROM {table} WHERE {column} IS NOT NULL"
            ).fetchall():
                blotted = close if row["said_in"] in near else far
                if (text := blotted(row[column])) != row[column]:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (text, row[key]))
                    if table == "feedback":
                        events.add(row[key])
        if db.row("SELECT 1 FROM sqlite_master WHERE name = 'adapters'"):
            for row in connection.execute("SELECT number, report FROM adapters").fetchall():
                report = json.loads(row["report"])
                left = report | {name: _replaced(report[name], close) for name in REPORTED if name in report}
                if left != report:
                    connection.execute(
                        "UPDATE adapters SET report = ? WHERE number = ?", (json.dumps(left), row["number"])
                    )
        _withhold(connection, changed | prompts, events)
        connection.executemany(
            "INSERT OR IGNORE INTO unlearned SELECT id FROM message WHERE id = ?", [(one,) for one in told]
        )


def without(value: Any, memories: Sequence[Memory]) -> Any:
    """A text or a JSON value without the words of `memories`, as in a conversation that told them."""
    return _replaced(value, matcher(phrases(memories), telling(memories)))


def _withhold(connection: sqlite3.Connection, messages: set[str], events: set[str]) -> None:
    """No later adapter learns from the replies among `messages`, nor from those that `events` are about."""
    connection.execute(
        "INSERT OR IGNORE INTO withheld SELECT id FROM message WHERE role = 'assistant' AND id IN ("
        " SELECT value FROM json_each(:messages)"
        " UNION SELECT reply_id FROM feedback WHERE id IN (SELECT value FROM json_each(:events))"
        " UNION SELECT other_id FROM feedback WHERE id IN (SELECT value FROM json_each(:events)))",
        {"messages": json.dumps(sorted(messages)), "events": json.dumps(sorted(events))},
    )


def blot_files(home: Path, memories: Sequence[Memory]) -> None:
    """The same for the backups and the logs of a home.

    A backup that is a database is opened and forgets as well; any other file of that folder that holds the
    words, or cannot be looked into, is deleted.
    """
    close = matcher(phrases(memories), telling(memories))
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
        with db.using() as connection:
            connection.execute("VACUUM")
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


def _each(connection: sqlite3.Connection, table: str, key: str, columns: str) -> Iterator[sqlite3.Row]:
    """The rows of a table one by one: those of a large home together would fill the memory."""
    for (one,) in connection.execute(f"SELECT {key} FROM {table}").fetchall():
        yield from connection.execute(f"SELECT {columns} FROM {table} WHERE {key} = ?", (one,))


def _saying(facts: Sequence[str], *texts: str) -> set[str]:
    """The sentences that say one of `facts` in other words."""
    wanted = [words for fact in facts if (words := content(fact))]
    return {
        sentence.strip()  # templates may cut the spaces around what was said
        for text in texts
        for sentence in SENTENCE.split(text)
        if sentence.strip() and any(words <= content(sentence) for words in wanted)
    }


def _without(text: str, sentences: Iterable[str]) -> str:
    # the longest first: one may be the beginning of another one, of which the rest would stay
    for sentence in sorted(sentences, key=len, reverse=True):
        text = text.replace(sentence, FORGOTTEN)
    return text


def _blotted_prompt(blotted: Callable[[str], str], sentences: Iterable[str], text: str) -> str:
    return _without(blotted(text), sentences)


def _in_json(text: str, blotted: Callable[[str], str]) -> str:
    value = json.loads(text)
    left = _replaced(value, blotted)
    return text if left == value else json.dumps(left)


def _replaced(value: Any, blotted: Callable[[str], str], written: bool = False) -> Any:
    """`value` with the strings inside it blotted; `written`: by the model, names of fields too."""
    if isinstance(value, str):
        return blotted(value)
    if isinstance(value, list):
        return [_replaced(inner, blotted, written) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        _field(key, blotted) if written else key: inner
        if key in STRUCTURE and not written and isinstance(inner, str)
        else _replaced(inner, blotted, written or key == "arguments")
        for key, inner in value.items()
    }


def _field(key: str, blotted: Callable[[str], str]) -> str:
    """A name of an argument as it is, such as "text", or what a model wrote there instead, blotted."""
    return key if key.isidentifier() and key.islower() else blotted(key)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
