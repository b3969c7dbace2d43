"""Lives for the kill -9 harness that are begun as forks, and so are found by name."""

from __future__ import annotations

from pathlib import Path

from env.bench.crash_store import say
from memory.database import open_home
from memory.journal import Journal
from memory.records import Generation


def honest(home: Path, only: str | None, chat: str = "chat") -> None:
    """Chats and rates in turns; says nothing before it is durable."""
    db = open_home(home)
    journal = Journal(db)
    talk = journal.start_conversation()
    for number in range(12):
        say(phase=chat)
        asked = journal.add_user(talk.id, None, f"prompt {number} é\n")
        say(ack="message", id=asked.id, content=asked.content)
        how = Generation("", "base", None, (), "", (), (), {})
        reply = journal.add_reply(talk.id, asked.id, f"reply {number}", how)
        say(ack="message", id=reply.id, content=reply.content)
        say(phase="rate")
        event = journal.rate(reply.id, 1 if number % 2 else -1)
        say(ack="rating", id=event.id, reply_id=reply.id, value=event.value)
    db.close()
