"""The child of `attune bench crash` that needs no model: it keeps, corrects, forgets, copies and restores,
on a disk that is sometimes full, and says what is durable."""

from __future__ import annotations

import json
import os
import resource
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memory.database import Database
from memory.errors import AttuneError, FailingDisk, FullHome
from memory.facts import Facts
from memory.journal import Journal
from memory.records import Generation
from memory.rescue.backups import Backups, NoBackup
from memory.rescue.restore import open_safely

# More than the log takes before it is emptied into the file, so that both are written to in every phase.
TURNS = 12
LONG = "a long line of words " * 100
PAGE = 4096


def live(home: Path, only: str | None = None) -> None:
    """One life, of all phases or of one; ends by itself if nobody kills it."""
    db, _ = open_safely(home)
    journal = Journal(db)
    talk = journal.conversations(1) or [journal.start_conversation("crash")]
    for name, work in PHASES.items():
        if only in (None, name):
            say(phase=name)
            work(home, db, talk[0].id)
    db.close()


def say(**line: Any) -> None:
    """A line for the bench, with the moment at which a phase begins: who reads it may be late."""
    if "phase" in line:
        line["at"] = time.monotonic()
    print(json.dumps(line), flush=True)


def keep(home: Path, db: Database, talk: str) -> None:
    for number in range(TURNS):
        _turn(Journal(db), talk, f"prompt {number} é {LONG}\n")


def correct(home: Path, db: Database, talk: str) -> None:
    facts = Facts(db)
    for _ in range(TURNS):
        old = facts.remember(f"It was {uuid.uuid4().hex}")
        say(ack="memory", id=old.id, text=old.text)
        say(about="ended", id=old.id)
        new = facts.edit(old.id, f"It is {uuid.uuid4().hex}")
        say(ack="ended", id=old.id)
        say(ack="memory", id=new.id, text=new.text)


def forget(home: Path, db: Database, talk: str) -> None:
    facts = Facts(db)
    for number in range(TURNS // 2):
        memory = facts.remember(f"Secret {uuid.uuid4().hex}")
        say(ack="memory", id=memory.id, text=memory.text)
        if number % 3 == 0:
            _copy(home, db)
        say(about="forgotten", id=memory.id)
        facts.forget(memory.id)
        say(ack="forgotten", id=memory.id, text=memory.text)


def copy(home: Path, db: Database, talk: str) -> None:
    for number in range(TURNS // 2):
        _turn(Journal(db), talk, f"before copy {number}")
        _copy(home, db)


def restore(home: Path, db: Database, talk: str) -> None:
    """An index of the file is ruined, so that all must come back; the next opening restores it."""
    _copy(home, db)
    _turn(Journal(db), talk, "after the copy")
    [(page,)] = db.rows("SELECT rootpage FROM sqlite_master WHERE name = 'message_parent'")
    db.close()  # the log is in the file now
    with (home / "attune.db").open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(os.urandom(PAGE))
        file.flush()
        os.fsync(file.fileno())
    again, said = open_safely(home)
    if not said:
        raise AttuneError("A damaged database was opened as if it were sound.")
    _turn(Journal(again), talk, "after the restoration")
    again.close()


def full_disk(home: Path, db: Database, talk: str) -> None:
    """The file may not grow any more, and then it may again. (SQLITE_FULL, as from ENOSPC.)"""
    _refused(db, talk, FullHome, lambda: _bounded_pages(db))


def failing_disk(home: Path, db: Database, talk: str) -> None:
    """The system refuses to write on, in the midst of a page (EFBIG: an I/O error to SQLite, as EIO is)."""
    size = sum(path.stat().st_size for path in home.glob("attune.db-wal"))
    _refused(db, talk, FailingDisk, lambda: _bounded_files(size + 3 * PAGE // 2))


PHASES: dict[str, Callable[[Path, Database, str], None]] = {
    "messages": keep,
    "facts": correct,
    "forgetting": forget,
    "backup": copy,
    "full disk": full_disk,
    "failing disk": failing_disk,
    "restoring": restore,  # the last, since it closes the database
}


def _turn(journal: Journal, talk: str, text: str) -> None:
    asked = journal.add_user(talk, None, text)
    say(ack="message", id=asked.id, content=asked.content)
    how = Generation("", "base", None, (), "", (), (), {})
    reply = journal.add_reply(talk, asked.id, f"answer to {text}", how)
    say(ack="message", id=reply.id, content=reply.content)
    event = journal.rate(reply.id, 1)
    say(ack="rating", id=event.id, reply_id=reply.id, value=event.value)


def _copy(home: Path, db: Database) -> None:
    try:
        made = Backups(home).make(db)
    except NoBackup as wrong:  # the disk of the bench itself is nearly full
        raise AttuneError(f"No backup could be made: {wrong}") from wrong
    say(ack="backup", name=made.path.name)


def _refused(db: Database, talk: str, expected: type[AttuneError], bound: Callable[[], Any]) -> None:
    refused = 0
    for _ in range(3):
        with bound():
            try:
                for _ in range(TURNS):
                    _turn(Journal(db), talk, LONG * 10)
            except expected:
                refused += 1
        _turn(Journal(db), talk, "fits again")
    if not refused:
        raise AttuneError("A disk that takes nothing any more was not noticed.")


@contextmanager
def _bounded_pages(db: Database) -> Iterator[None]:
    connection = db.connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def _bounded_files(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
