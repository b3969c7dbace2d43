"""Replies that no later adapter is trained on, because they knew a memory that the owner forgot.

The whole row leaves, rather than the line out of its prompt: the reply was written by a policy that had
read the memory, and may say it in words of its own, which no search for the text would find ("Fitzo is
waiting for his walk"). A thumb on such a reply still counts for the card and for usefulness, which hold
nothing of what was said.

A reply knew a memory when

- it was shown it (the table `shown`), or
- the memory's text stands in its prompt (as history, too), in the reply, or in the owner's edit of it,
- it stands further down the branch on which the memory was told, and its prompt holds that message, or
- the memory's words had to be taken out of it, its tool calls, its prompt, or what the owner said of it
  (oblivion.py): what is left says "(forgotten)", which nobody should learn to say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from memory.database import Database
from memory.forgetting.needles import distinctive
from memory.records import Memory

BELOW = """
    WITH RECURSIVE below(id) AS (
        SELECT id FROM message WHERE parent_id = :source
        UNION SELECT m.id FROM message AS m JOIN below ON m.parent_id = below.id)
    INSERT OR IGNORE INTO withheld SELECT reply_id FROM generation
    WHERE reply_id IN (SELECT id FROM below) AND instr(body, :told)
"""


def withhold(db: Database, forgotten: Sequence[Memory]) -> None:
    """Withhold every reply that knew one of these memories, which are being deleted."""
    with db.transaction() as connection:
        for memory in forgotten:
            connection.execute(
                "INSERT OR IGNORE INTO withheld SELECT reply_id FROM shown WHERE memory_id = ?", (memory.id,)
            )
            _by_text(db, memory.text)
            _below(db, memory.source_message_id)


def hold_back(db: Database, reply_id: str) -> None:
    """Withhold one reply, which was written down after something that it knew was forgotten."""
    with db.transaction() as connection:
        connection.execute("INSERT OR IGNORE INTO withheld VALUES (?)", (reply_id,))


def withheld(db: Database) -> set[str]:
    """Ids of all replies that training leaves out."""
    return {row["reply_id"] for row in db.rows("SELECT reply_id FROM withheld")}


def _by_text(db: Database, text: str) -> None:
    # What stands in many texts that have nothing to do with it ("tea") is sought as the line of a prompt.
    exact = text.rstrip(".。 ") if distinctive(text) else f"- {text}\n"
    # SQLite folds ASCII only, so what is spelled to the letter is sought as well
    sought = {"exact": exact, "folded": exact.casefold()}
    # bodies and tool calls are JSON, with everything beyond ASCII escaped
    escaped = {name: json.dumps(words)[1:-1] for name, words in sought.items()}
    found = "(instr({0}, :exact) OR instr(lower({0}), :folded))"
    with db.transaction() as connection:
        for table, reply, column, words in (
            ("generation", "reply_id", "body", escaped),
            ("message", "id", "tool_calls", escaped),
            ("message", "id", "content", sought),
            ("feedback", "reply_id", "text", sought),
            ("feedback", "reply_id", "why", sought),
        ):
            said = " AND role = 'assistant'" if table == "message" else ""
            connection.execute(
                f"INSERT OR IGNORE INTO withheld SELECT {reply} FROM {table}"
                f" WHERE {found.format(column)}{said}",
                words,
            )


def _below(db: Database, source: str | None) -> None:
    told = None if source is None else db.row("SELECT content FROM message WHERE id = ?", (source,))
    if told is not None:
        with db.transaction() as connection:
            connection.execute(BELOW, {"source": source, "told": json.dumps(told["content"])[1:-1]})
