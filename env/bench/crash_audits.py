"""What a home must still hold after a kill: everything that was acknowledged in it, to the letter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from env.bench.crash_life import Ack
from memory.database import Database
from memory.errors import AttuneError
from memory.facts import Facts
from memory.journal import Journal
from memory.rescue.backups import Backups, faults_of
from memory.rescue.restore import open_safely

EVERYTHING = 2**31


def audit_journal(home: Path, acks: Sequence[Ack]) -> list[str]:
    """The database is sound, and every acknowledged message, rating and memory is in it; what was forgotten
    is not."""
    try:
        # as the next start opens it: what that restores was not lost
        db, _ = open_safely(home)
    except AttuneError as error:
        return [str(error)]
    try:
        return [*db.check(), *_lost(db, acks)]
    except AttuneError as error:
        return [str(error)]
    finally:
        db.close()


def audit_backups(home: Path, acks: Sequence[Ack]) -> list[str]:
    """Whatever has the name of a backup is whole, there is one once there was one, and none of them holds
    what was forgotten."""
    problems = []
    backups = Backups(home)
    there = backups.all()
    for one in there:
        problems += [f"{one.path.name} is not whole: {fault}" for fault in faults_of(one.path)]
    gone = {str(ack["text"]).encode() for ack in acks if ack.get("ack") == "forgotten"}
    for path in backups.folder.iterdir() if gone else ():
        body = path.read_bytes() if path.is_file() else b""
        problems += [
            f"{path.name} holds {text!r}, acknowledged as forgotten" for text in gone if text in body
        ]
    return problems


def _lost(db: Database, acks: Sequence[Ack]) -> list[str]:
    journal, facts = Journal(db), Facts(db)
    said = {
        message.id: message.content
        for talk in journal.conversations(limit=EVERYTHING)
        for message in journal.messages(talk.id)
    }
    ratings = {event.id: (event.reply_id, event.value) for event in journal.feedback()}
    memories = {memory.id: memory for memory in facts.all(include_past=True)}
    forgotten = {ack["id"] for ack in acks if "forgotten" in (ack.get("ack"), ack.get("about"))}
    ended = {ack["id"] for ack in acks if "ended" in (ack.get("ack"), ack.get("about"))}
    problems = []
    for ack in acks:
        kind, one = ack.get("ack"), ack.get("id")
        if kind == "message":
            if one not in said:
                problems.append(f"message {one} was acknowledged and is lost")
            elif said[one] != ack["content"]:
                problems.append(f"message {one} says {said[one][:80]!r}, not what was acknowledged")
        elif kind == "rating":
            if one not in ratings:
                problems.append(f"rating {one} was acknowledged and is lost")
            elif ratings[one] != (ack["reply_id"], ack["value"]):
                problems.append(f"rating {one} is {ratings[one]}, not what was acknowledged")
        elif kind == "memory" and one not in forgotten:
            if one not in memories:
                problems.append(f"memory {one} was acknowledged and is lost")
            elif memories[one].text != ack["text"]:
                problems.append(f"memory {one} says {memories[one].text!r}, not what was acknowledged")
            elif memories[one].valid_to is not None and one not in ended:
                problems.append(f"memory {one} was acknowledged and holds no longer")
        elif kind == "ended" and one in memories and memories[one].valid_to is None:
            problems.append(f"memory {one} holds again, though its end was acknowledged")
        elif kind == "forgotten" and one in memories:
            problems.append(f"memory {one} is there again, though its forgetting was acknowledged")
    return problems
