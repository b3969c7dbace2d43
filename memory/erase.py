"""Forgetting, everywhere: database, full text, index, and the prompts that training reads.

What is not touched: the words of the conversation itself. Who told the agent a fact in a chat finds it
there until that conversation is deleted (`Journal.delete_conversation`). An adapter that was trained
before keeps what it learned; the next one is trained from the base on what is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from memory.errors import AttuneError, DatabaseError, NotFound
from memory.journal import Journal
from memory.recall import Recall
from memory.records import FORGOTTEN
from memory.text import quoted

# Only what Attune writes: a home may be any folder that the person named.
STATE_FILES = ("attune.db", "attune.db-wal", "attune.db-shm", "config.toml")
STATE_FOLDERS = ("index", "adapters", "backups", "logs", "training")
LOCK = "update.lock"


def forget_memory(recall: Recall, journal: Journal, memory_id: str) -> list[str]:
    """Delete a memory with the older versions that it replaced; the ids that are gone.

    Rows, full text and index entry go (see Facts.forget), and in stored prompts the lines that showed
    the memory read "- (forgotten)" from now on. Such a generation loses its `prompt_ids` (they become
    empty), since they spell the old text; `prompt_text` is what is left to train on.
    """
    past = recall.facts.all(include_past=True)
    with journal.db.transaction():
        gone = recall.facts.forget(memory_id)
        for text in {memory.text for memory in past if memory.id in gone}:
            _scrub_prompts(journal, text, set(gone))
    journal.db.scrub()
    recall.index.remove(gone)
    return gone


def delete_rating(journal: Journal, reply_id: str) -> int:
    """Erase every event about a reply, not only take it back; how many there were. Raises NotFound."""
    journal.generation(reply_id)
    with journal.db.transaction() as connection:
        erased = connection.execute("DELETE FROM feedback WHERE reply_id = ?", (reply_id,)).rowcount
    journal.db.scrub()
    return erased


def all_memories(recall: Recall, journal: Journal) -> int:
    """Forget every memory; how many held before."""
    held = recall.facts.count()
    while left := recall.facts.all(include_past=True):
        newest = next((memory for memory in left if memory.superseded_by is None), left[0])
        forget_memory(recall, journal, newest.id)
    return held


def everything(home: Path) -> list[Path]:
    """Delete all state of a home; what was deleted. Close its Database first; other files stay.

    Raises AttuneError while an update writes to the home, or when a file cannot be deleted.
    """
    home = Path(home).expanduser()
    if not (home / "attune.db").is_file():
        raise NotFound(f"{quoted(str(home))} is not a home of Attune; nothing was deleted.")
    deleted: list[Path] = []
    try:
        with (home / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AttuneError(
                    "An update is running in this home; cancel it or wait for it, then erase."
                ) from error
            for name in STATE_FOLDERS:
                if (home / name).is_dir():
                    shutil.rmtree(home / name)
                    deleted.append(home / name)
            for path in [home / name for name in STATE_FILES]:
                if path.exists():
                    _overwrite(path)
                    path.unlink()
                    deleted.append(path)
            (home / LOCK).unlink()
    except OSError as error:
        raise DatabaseError(
            f"{error.filename or home} could not be deleted ({error.strerror}); see its permissions."
        ) from error
    return deleted


def _scrub_prompts(journal: Journal, text: str, ids: set[str]) -> None:
    line = re.compile(rf"^- {re.escape(text)}$", re.MULTILINE)
    with journal.db.transaction() as connection:
        for row in connection.execute(
            "SELECT id, content, sent, role FROM message WHERE instr(sent, :t) OR"
            " (role = 'tool' AND instr(content, :t))",
            {"t": f"- {text}"},
        ).fetchall():
            sent = None if row["sent"] is None else line.sub(f"- {FORGOTTEN}", row["sent"])
            said = line.sub(f"- {FORGOTTEN}", row["content"]) if row["role"] == "tool" else row["content"]
            connection.execute(
                "UPDATE message SET sent = ?, content = ? WHERE id = ?", (sent, said, row["id"])
            )
        for row in connection.execute(
            "SELECT reply_id, body FROM generation WHERE instr(body, ?)", (json.dumps(text)[1:-1],)
        ).fetchall():
            body: dict[str, Any] = json.loads(row["body"])
            shown = _replaced({"messages": body["messages"], "prompt_text": body["prompt_text"]}, line)
            recalled = [
                {**one, "text": FORGOTTEN} if one["memory_id"] in ids else one for one in body["recalled"]
            ]
            if shown["prompt_text"] != body["prompt_text"]:
                body["prompt_ids"] = []
            connection.execute(
                "UPDATE generation SET body = ? WHERE reply_id = ?",
                (json.dumps({**body, **shown, "recalled": recalled}), row["reply_id"]),
            )


def _replaced(value: Any, line: re.Pattern[str]) -> Any:
    """`value` with the line replaced in every string inside it."""
    if isinstance(value, str):
        return line.sub(f"- {FORGOTTEN}", value)
    if isinstance(value, dict):
        return {key: _replaced(inner, line) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, line) for inner in value]
    return value


def _overwrite(path: Path) -> None:
    """Zeros over the content, so that it does not stay readable in the freed blocks of a plain disk."""
    with path.open("r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(b"\0" * min(left, 1 << 20))
        file.flush()
        os.fsync(file.fileno())
