"""Conversations as trees of messages. What the owner thought of them stands in `ledger.py`.

Every call is durable when it returns. A reply and how it came about are one transaction: there is
never a reply that cannot be explained or trained on, nor a generation without its reply.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from memory import strict_json
from memory.database import Database
from memory.errors import NotFound
from memory.ledger import Ledger, read_message
from memory.records import Conversation, Generation, Message, Passage, Recalled, Role, tried
from memory.text import all_as_written, as_written, message_text, quoted

TITLE_LENGTH = 60
# how many characters of an id name a reply
SHORT = 8
LAST_CHARACTER = chr(0x10FFFF)


class Journal(Ledger):
    """The conversations of a home, and (from Ledger) the feedback on their replies."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def start_conversation(self, title: str = "") -> Conversation:
        """A new, empty conversation. Without a title it takes the first line that is said in it."""
        now = time.time()
        made = Conversation(_new_id(), _title(title), now, now)
        with self.db.transaction() as connection:
            connection.execute(
                "INSERT INTO conversation VALUES (?, ?, ?, ?, NULL)", (made.id, made.title, now, now)
            )
        return made

    def conversations(self, limit: int = 200, search: str = "") -> list[Conversation]:
        """Newest first; `search` is looked for in titles and in all that was said, case folded by ASCII."""
        like = "%" + as_written(search).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = self.db.rows(
            "SELECT * FROM conversation WHERE :any OR title LIKE :like ESCAPE '\\' OR EXISTS ("
            " SELECT 1 FROM message"
            " WHERE conversation_id = conversation.id AND content LIKE :like ESCAPE '\\')"
            " ORDER BY updated_at DESC, rowid DESC LIMIT :limit",
            {"any": not search, "like": like, "limit": limit},
        )
        return [Conversation(**dict(row)) for row in found]

    def conversation(self, conversation_id: str) -> Conversation:
        row = self.db.row("SELECT * FROM conversation WHERE id = ?", (as_written(conversation_id),))
        if row is None:
            raise NotFound(f"No conversation {quoted(conversation_id)} in this home; see the sessions list.")
        return Conversation(**dict(row))

    def rename(self, conversation_id: str, title: str) -> Conversation:
        with self.db.transaction() as connection:
            self.conversation(conversation_id)
            connection.execute(
                "UPDATE conversation SET title = ? WHERE id = ?", (_title(title), conversation_id)
            )
            return self.conversation(conversation_id)

    def delete_conversation(self, conversation_id: str) -> None:
        """Really gone: its messages, generations and ratings too. Memories learned in it stay."""
        with self.db.transaction() as connection:
            self.conversation(conversation_id)
            # else each message would take the next one along, and SQLite follows 1,000 such steps at most
            connection.execute(
                "UPDATE message SET parent_id = NULL WHERE conversation_id = ?", (conversation_id,)
            )
            connection.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,))
        self.db.scrub()

    def set_head(self, conversation_id: str, message_id: str | None) -> None:
        """Remember which leaf the person looks at."""
        with self.db.transaction() as connection:
            self.conversation(conversation_id)
            if message_id is not None:
                self._belongs(conversation_id, message_id)
            connection.execute(
                "UPDATE conversation SET head_id = ? WHERE id = ?", (message_id, conversation_id)
            )

    def add_user(
        self, conversation_id: str, parent_id: str | None, content: str, sent: str | None = None
    ) -> Message:
        """What the person said. Raises BadText when it is empty or above 4,000,000 characters."""
        return self._add(conversation_id, parent_id, "user", message_text(content), sent=sent)

    def set_sent(self, message_id: str, sent: str | None) -> None:
        """What the model was shown in the place of this message."""
        with self.db.transaction() as connection:
            self.message(message_id)
            connection.execute(
                "UPDATE message SET sent = ? WHERE id = ?",
                (None if sent is None else as_written(sent), message_id),
            )

    def add_tool(
        self,
        conversation_id: str,
        parent_id: str | None,
        content: str,
        tool_name: str | None = None,
        sent: str | None = None,
    ) -> Message:
        """The result of a tool; it may be empty."""
        return self._add(
            conversation_id, parent_id, "tool", as_written(content), tool_name=tool_name, sent=sent
        )

    def add_reply(
        self,
        conversation_id: str,
        parent_id: str | None,
        content: str,
        generation: Generation,
        tool_calls: Sequence[Mapping[str, Any]] = (),
    ) -> Message:
        """A reply with how it came about (`generation.reply_id` is replaced by the new id); may be empty."""
        with self.db.transaction() as connection:
            reply = self._add(
                conversation_id,
                parent_id,
                "assistant",
                as_written(content),
                tool_calls=tuple(all_as_written(dict(call)) for call in tool_calls),
                complete=generation.finish_reason == "stop",
            )
            kept = replace(generation, reply_id=reply.id)
            connection.execute(
                "INSERT INTO generation VALUES (?, ?, ?, ?)",
                (reply.id, kept.base, kept.adapter, generation_body(kept)),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO shown VALUES (?, ?)",
                [(reply.id, recalled.memory_id) for recalled in kept.recalled],
            )
        return reply

    def message(self, message_id: str) -> Message:
        row = self.db.row("SELECT * FROM message WHERE id = ?", (as_written(message_id),))
        if row is None:
            raise NotFound(f"No message {quoted(message_id)} in this home.")
        return read_message(row)

    def reply_named(self, named: str) -> str:
        """The id of the reply that begins with `named`, if there is one alone; else `named` as it is.

        Reports show the first characters of an id. Fewer than SHORT could be anyone's.
        """
        start = as_written(named)
        if len(start) < SHORT:
            return named
        found = self.db.rows(
            "SELECT id FROM message WHERE role = 'assistant' AND id BETWEEN ? AND ? LIMIT 2",
            (start, start + LAST_CHARACTER),
        )
        return str(found[0]["id"]) if len(found) == 1 else named

    def path(self, message_id: str) -> list[Message]:
        """From the root of the conversation down to this message."""
        self.message(message_id)
        found = self.db.rows(
            "WITH RECURSIVE up(id, parent_id, depth) AS ("
            " SELECT id, parent_id, 0 FROM message WHERE id = ?"
            " UNION ALL SELECT m.id, m.parent_id, depth + 1 FROM message AS m JOIN up ON m.id = up.parent_id)"
            " SELECT message.* FROM up JOIN message ON message.id = up.id ORDER BY depth DESC",
            (message_id,),
        )
        return [read_message(row) for row in found]

    def children(self, message_id: str) -> list[Message]:
        """Oldest first."""
        return self._many("parent_id = ?", message_id)

    def siblings(self, message_id: str) -> list[Message]:
        """All messages with the same parent and role, this one among them, oldest first."""
        one = self.message(message_id)
        if one.parent_id is None:
            return self._many(
                "parent_id IS NULL AND role = ? AND conversation_id = ?", one.role, one.conversation_id
            )
        return self._many("parent_id = ? AND role = ?", one.parent_id, one.role)

    def messages(self, conversation_id: str) -> list[Message]:
        """The whole tree, oldest first."""
        return self._many("conversation_id = ?", conversation_id)

    def generation(self, reply_id: str) -> Generation:
        row = self.db.row("SELECT * FROM generation WHERE reply_id = ?", (as_written(reply_id),))
        if row is None:
            raise self._no_reply(reply_id)
        return read_generation(row)

    def replies_of(self, conversation_id: str) -> list[Message]:
        """All replies of the tree, oldest first."""
        return self._many("conversation_id = ? AND role = 'assistant'", conversation_id)

    def recent_user_texts(self, limit: int = 100) -> list[str]:
        """What was typed, newest first, each text once: the prompt history."""
        found = self.db.rows(
            "SELECT content FROM message WHERE role = 'user' GROUP BY content"
            " ORDER BY MAX(rowid) DESC LIMIT ?",
            (limit,),
        )
        return [row["content"] for row in found]

    def _many(self, where: str, *parameters: str) -> list[Message]:
        found = self.db.rows(
            f"SELECT * FROM message WHERE {where} ORDER BY rowid",
            [as_written(parameter) for parameter in parameters],
        )
        return [read_message(row) for row in found]

    def _belongs(self, conversation_id: str, message_id: str) -> None:
        if self.message(message_id).conversation_id != conversation_id:
            raise NotFound(f"Message {quoted(message_id)} belongs to another conversation.")

    def _add(
        self,
        conversation_id: str,
        parent_id: str | None,
        role: Role,
        content: str,
        *,
        sent: str | None = None,
        tool_calls: tuple[dict[str, Any], ...] = (),
        tool_name: str | None = None,
        complete: bool = True,
    ) -> Message:
        made = Message(
            id=_new_id(),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            content=content,
            created_at=time.time(),
            sent=None if sent is None else as_written(sent),
            tool_calls=tool_calls,
            tool_name=tool_name,
            complete=complete,
        )
        with self.db.transaction() as connection:
            known = self.conversation(conversation_id)
            if parent_id is not None:
                self._belongs(conversation_id, parent_id)
            columns = {
                **asdict(made),
                "tool_calls": strict_json.dumps(made.tool_calls),
                "complete": int(complete),
            }
            connection.execute(
                f"INSERT INTO message ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                tuple(columns.values()),
            )
            title = known.title or (_title(content) if role == "user" else "")
            connection.execute(
                "UPDATE conversation SET head_id = ?, updated_at = ?, title = ? WHERE id = ?",
                (made.id, made.created_at, title, conversation_id),
            )
        return made


def generation_body(generation: Generation) -> str:
    """What the `body` column holds: all fields but those that have columns of their own."""
    fields = asdict(generation)
    for column in ("reply_id", "base", "adapter"):
        del fields[column]
    return strict_json.dumps(fields)


def read_generation(row: sqlite3.Row) -> Generation:
    fields: dict[str, Any] = strict_json.loads(row["body"])
    recalled = tuple(Recalled(**entry) for entry in fields.pop("recalled"))
    passages = tuple(Passage(**{**entry, "ids": tuple(entry["ids"])}) for entry in fields.pop("passages", ()))
    fields["trial"] = tried(fields.get("trial"))
    fixed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return Generation(
        reply_id=row["reply_id"],
        base=row["base"],
        adapter=row["adapter"],
        recalled=recalled,
        passages=passages,
        **fixed,
    )


def _title(text: str) -> str:
    """The first line, at most 60 characters of it."""
    line = " ".join(as_written(text).strip().partition("\n")[0].split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


def _new_id() -> str:
    return uuid.uuid4().hex
