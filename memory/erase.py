"""Forgetting, everywhere: database, full text, index, stored prompts, and the rows of every later adapter.

What is forgotten is gone from the tables in one transaction, and the adapters that were trained on it are
marked by the same one (lineage.py). Traces outside of the tables are cleared after it; a process that dies
before that leaves a note (the table `unfinished`), and the next start clears them (`finish`).

The words of a forgotten memory leave the conversations, the backups and the logs as well (oblivion.py). What
is not touched: files that the owner brought along (`imports`), and other owners. A marked adapter keeps what
it learned until it is deleted; the next one is trained from the base on what is left.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory import oblivion, withheld
from memory.database import Database, writing
from memory.errors import AttuneError, DatabaseError, NotFound
from memory.files import locked
from memory.journal import Journal
from memory.recall import Recall
from memory.records import FORGOTTEN, Memory
from memory.text import quoted

# Only what Attune writes: a home may be any folder that the person named.
STATE_FILES = ("attune.db*", "config.toml")
STATE_FOLDERS = ("index", "adapters", "backups", "logs", "training", "imports")
# By any of these a folder is a home, also when the database itself is gone: the next start would restore it
# from a backup. Names that only Attune gives; a folder `logs` or `backups` alone may be anybody's.
DATED = "[0-9]*-[0-9]*-[0-9]*-[0-9]*.db*"
SIGNS = (
    "attune.db", "attune.db-wal", "attune.db-shm", f"backups/attune-{DATED}", f"backups/damaged-{DATED}",
    f"backups/restored-{DATED}", "logs/attune.log*",
)  # fmt: skip
OPEN = "Attune is open in this home; close it, then erase."
LOCK = "update.lock"


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
    past = recall.facts.history(memory_id)
    gone = _forget_memories(recall, journal, [memory_id], past)
    _clear(recall, journal.db, gone)
    _clear_files(journal.db, [one for one in past if one.id in set(gone)])
    return gone


def forget_rating(journal: Journal, reply_id: str) -> int:
    """Erase every event about a reply, not only take it back; how many there were. Raises NotFound.

    A pick is about both of its replies, so those that the reply lost go as well.
    """
    journal.generation(reply_id)
    with journal.db.transaction() as connection:
        erased = connection.execute(
            "DELETE FROM feedback WHERE :reply IN (reply_id, other_id)", {"reply": reply_id}
        ).rowcount
    _scrub(journal.db)
    return erased


def forget_conversation(journal: Journal, conversation_id: str) -> Gone:
    """Delete a conversation with its replies and their ratings. Raises NotFound."""
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
    _scrub(journal.db)
    return Gone(replies, ratings, learned)


def all_memories(recall: Recall, journal: Journal) -> int:
    """Forget every memory; how many held before."""
    held = recall.facts.count()
    past = recall.facts.all(include_past=True)
    newest = [one.id for one in past if one.superseded_by is None]
    _clear(recall, journal.db, _forget_memories(recall, journal, newest, past))
    _clear_files(journal.db, past)
    return held


def unfinished(db: Database) -> list[str]:
    """What a process that died left to be cleared: "log", "index"; [] as a rule."""
    return [row["what"] for row in db.rows("SELECT what FROM unfinished ORDER BY what")]


def finish(db: Database, home: Path) -> list[str]:
    """Clear what a process that died in the midst of forgetting left behind; what there was.

    The index is emptied whole: the next search fills it again from the database. Raises DatabaseError.
    """
    left = unfinished(db)
    if "index" in left:
        with writing(home):
            shutil.rmtree(home / "index", ignore_errors=True)
            (home / "index").mkdir(exist_ok=True, mode=0o700)
            if not any((home / "index").iterdir()):  # else the next start tries again
                _done(db, "index")
    if left:
        _scrub(db)
    return left


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


def everything(home: Path) -> list[Path]:
    """Delete all state of a home; what was deleted. Close its Database first; other files stay.

    Raises AttuneError while an update writes to the home, or when a file cannot be deleted.
    """
    home = Path(home).expanduser()
    if not any(True for sign in SIGNS for _ in home.glob(sign)):
        raise NotFound(f"{quoted(str(home))} is not a home of Attune; nothing was deleted.")
    _alone(home)
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
                    folder(home / name)
                    deleted.append(home / name)
            for path in sorted(one for name in STATE_FILES for one in home.glob(name) if one.is_file()):
                oblivion.shred(path)
                deleted.append(path)
            (home / LOCK).unlink()
    except OSError as error:
        raise DatabaseError(
            f"{error.filename or home} could not be deleted ({error.strerror}); see its permissions."
        ) from error
    return deleted


def _alone(home: Path) -> None:
    """Raises AttuneError while another process has the database open: it would go on writing."""
    if not (home / "attune.db").is_file():  # and asking SQLite would make it
        try:
            with locked(home, alone=True, seconds=0.5):
                return
        except TimeoutError as error:
            raise AttuneError(OPEN) from error
    try:
        connection = sqlite3.connect(home / "attune.db", timeout=0.5, isolation_level=None)
        try:
            # leaving WAL needs the file for oneself
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise AttuneError(OPEN) from error
    except sqlite3.DatabaseError:
        pass  # a damaged file is deleted as well


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


def _clear(recall: Recall, db: Database, gone: Sequence[str]) -> None:
    """The traces outside of the tables, after the transaction that forgot."""
    if gone:
        # A turn's vector knows the turn before it, so the one after goes too; `sync` makes it anew.
        recall.index.forget([*gone, *recall.stale()])
    _done(db, "index")
    _scrub(db)


def _clear_files(db: Database, memories: Sequence[Memory]) -> None:
    home = db.path.parent
    oblivion.vacuum(db)
    _scrub(db)
    with writing(home):
        oblivion.blot_files(home, memories)


def _scrub(db: Database) -> None:
    clear_workshop(db.path.parent)
    if db.scrub() and unfinished(db):
        _done(db, "log")


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
