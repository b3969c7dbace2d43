"""Forgetting, everywhere: database, full text, index, stored prompts, and the rows of every later adapter.

What is forgotten is gone from the tables in one transaction, and the adapters that were trained on it are
marked by the same one (lineage.py). Traces outside of the tables are cleared after it; a process that dies
before that leaves a note (the table `unfinished`), and the next start clears them (`finish`), or whoever
forgets next. Those keep others out of the index from before that transaction until the note is gone: so a
note beside an index that nobody holds is one of the dead.

The words of a forgotten memory leave the conversations, the backups and the logs as well (oblivion.py). What
is not touched: files that the owner brought along (`imports`), and other owners. A marked adapter keeps what
it learned until it is deleted; the next one is trained from the base on what is left.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.database import Database, writing
from memory.forgetting import oblivion, withheld
from memory.index.folder import BusyIndex, alone, empty
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.records import FORGOTTEN, Memory

LOCK = "update.lock"
GLANCE_SECONDS = 0.5  # a search is over by then


@dataclass(frozen=True, slots=True)
class Gone:
    """How much of a conversation was forgotten. `memories_left` were learned in it, and stay."""

    replies: int
    ratings: int
    memories_left: int


def forget_memory(recall: Recall, journal: Journal, memory_id: str) -> list[str]:
    """Delete a memory with the older versions that it replaced; the ids that are gone.

    Rows, full text and index entry go (see Facts.forget), and in stored prompts the lines that showed
    the memory read "- (forgotten)" from now on. Such a generation loses its `prompt_ids` (they become
    empty), since they spell the old text. The replies that knew it are withheld from training.
    """
    with forgetting(journal.db):
        past = recall.facts.history(memory_id)
        gone = _forget_memories(recall, journal, [memory_id], past)
        _clear(recall, journal.db, gone, [one for one in past if one.id in set(gone)])
    return gone


def forget_rating(journal: Journal, reply_id: str) -> int:
    """Erase every event about a reply, not only take it back; how many there were. Raises NotFound.

    A pick is about both of its replies, so those that the reply lost go as well.
    """
    journal.generation(reply_id)
    with forgetting(journal.db):
        with journal.db.transaction() as connection:
            erased = connection.execute(
                "DELETE FROM feedback WHERE :reply IN (reply_id, other_id)", {"reply": reply_id}
            ).rowcount
        if _scrub(journal.db):
            _done(journal.db, "log")
    return erased


def forget_conversation(journal: Journal, conversation_id: str) -> Gone:
    """Delete a conversation with its replies and their ratings. Raises NotFound."""
    with forgetting(journal.db):
        with journal.db.transaction() as connection:
            replies = len(journal.replies_of(conversation_id))
            ratings, learned = (
                int(connection.execute(f"SELECT COUNT(*) FROM {what}", (conversation_id,)).fetchone()[0])
                for what in (
                    "feedback JOIN message ON message.id = reply_id WHERE conversation_id = ?",
                    "memory JOIN message ON message.id = source_message_id"
                    " WHERE valid_to IS NULL AND conversation_id = ?",
                )
            )
            journal.delete_conversation(conversation_id)
        if _scrub(journal.db):
            _done(journal.db, "log")
    return Gone(replies, ratings, learned)


def all_memories(recall: Recall, journal: Journal) -> int:
    """Forget every memory; how many held before."""
    with forgetting(journal.db):
        held = recall.facts.count()
        past = recall.facts.all(include_past=True)
        newest = [one.id for one in past if one.superseded_by is None]
        _clear(recall, journal.db, _forget_memories(recall, journal, newest, past), past)
    return held


def unfinished(db: Database) -> list[str]:
    """What a process that died left to be cleared: "log", "index"; [] as a rule."""
    return [row["what"] for row in db.rows("SELECT what FROM unfinished ORDER BY what")]


def finish(db: Database, home: Path) -> list[str]:
    """Clear what a process that died in the midst of forgetting left behind; what there was.

    The index is emptied whole: the next search fills it again from the database. So are the logs, since
    nobody knows any more which words to take out of them. What cannot be cleared is left to the next start,
    and what a living process is about to clear, to that one. Raises DatabaseError.
    """
    if not unfinished(db):
        return []
    try:
        with alone(home / "index", GLANCE_SECONDS):
            return _finish(db, home)
    except BusyIndex:
        return []


def clear_workshop(home: Path) -> None:
    """Overwrite and delete what an update that was killed left in `training`: rows of the ledger, and an
    adapter that learned from them. As far as it can be done, and not while an update runs: that one does it
    itself."""
    if not (home / "training").is_dir():
        return
    try:
        with (home / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sweep(home / "training")
    except OSError:  # BlockingIOError among them
        return


def sweep(path: Path) -> None:
    """As `folder`, as far as it can be done: what cannot be overwritten is deleted all the same."""
    try:
        folder(path)
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


def folder(path: Path) -> None:
    """Overwrite every file in a folder, then delete it whole; one that is gone is fine. Raises OSError."""
    for inner in path.rglob("*"):
        if inner.is_file() and not inner.is_symlink():
            try:
                oblivion.shred(inner, b"")
            except FileNotFoundError:
                continue  # another process sweeps as well
    if path.is_dir():
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            shutil.rmtree(path, ignore_errors=True)


def _forget_memories(
    recall: Recall, journal: Journal, memory_ids: Sequence[str], past: Sequence[Memory]
) -> list[str]:
    """The ids that are gone; `past` are those of `memory_ids` and all that they replaced."""
    with journal.db.transaction():
        gone: list[str] = []
        for memory_id in memory_ids:
            gone += recall.facts.forget(memory_id)
        ids = set(gone)
        forgotten: list[Memory] = [memory for memory in past if memory.id in ids]
        withheld.withhold(journal.db, forgotten)
        for text in {memory.text for memory in forgotten}:
            _scrub_prompts(journal, text, ids)
        oblivion.blot(journal.db, forgotten)
    return gone


@contextmanager
def forgetting(db: Database) -> Iterator[None]:
    """Others are kept out of the index until what is forgotten inside is cleared everywhere."""
    home = db.path.parent
    with alone(home / "index"):
        _finish(db, home)  # else the note of someone who died would go with that of this one
        yield


def _finish(db: Database, home: Path) -> list[str]:
    left = unfinished(db)
    if "index" in left and _emptied(home / "index"):
        _done(db, "index")
    if "log" in left and _without_logs(home) and _scrub(db):
        _done(db, "log")
    return left


def _clear(recall: Recall, db: Database, gone: Sequence[str], memories: Sequence[Memory]) -> None:
    """The traces outside of the tables, after the transaction that forgot; in the files also when the index
    fails, since only this process knows the words."""
    try:
        if gone:
            # A turn's vector knows the turn before it, so the one after goes too; `sync` makes it anew.
            recall.index.forget([*gone, *recall.stale()])
        _done(db, "index")
    finally:
        _clear_files(db, memories)


def _clear_files(db: Database, memories: Sequence[Memory]) -> None:
    home = db.path.parent
    oblivion.vacuum(db)
    scrubbed = _scrub(db)
    with writing(home):
        oblivion.blot_files(home, memories)
    if scrubbed:
        _done(db, "log")


def _scrub(db: Database) -> bool:
    """Whether the write-ahead log is empty, see Database.scrub."""
    clear_workshop(db.path.parent)
    return db.scrub()


def _emptied(index: Path) -> bool:
    try:
        return empty(index)
    except OSError:
        return False


def _without_logs(home: Path) -> bool:
    """Empty the logs, which stay in place for whoever writes to them; False where that fails."""
    try:
        for path in (home / "logs").rglob("*"):
            if path.is_file() and not path.is_symlink():
                with suppress(FileNotFoundError):  # logs are renamed when they are full
                    oblivion.shred(path, b"")
    except OSError:
        return False
    return True


def _done(db: Database, what: str) -> None:
    with db.transaction() as connection:
        connection.execute("DELETE FROM unfinished WHERE what = ?", (what,))


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
