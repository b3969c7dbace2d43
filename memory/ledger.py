"""The ledger: what the owner thought of the replies, as append-only events.

Taking a rating back is another event. What counts in the end ("signals") is the newest thumb of
each reply unless it is a clear, every edit and every pick. Newest is by the clock, not by `seq`: an import
brings older events later.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from typing import TYPE_CHECKING, Literal

from memory.database import Database
from memory.errors import AttuneError, BadText, NotFound
from memory.forgetting.withheld import withheld as all_withheld
from memory.records import Feedback, FeedbackKind, Generation, Message
from memory.text import all_as_written, as_written, is_blank, message_text, quoted

THUMBS: dict[int, str] = {1: "up", -1: "down", 0: "clear"}
COLUMNS = "id, seq, reply_id, kind, value, created_at, why, text, other_id, source"


class Ledger:
    """The feedback half of the journal; `Journal` adds the conversations."""

    db: Database

    if TYPE_CHECKING:

        def message(self, message_id: str) -> Message: ...
        def siblings(self, message_id: str) -> list[Message]: ...
        def generation(self, reply_id: str) -> Generation: ...

    def rate(self, reply_id: str, value: int, why: str | None = None, source: str = "owner") -> Feedback:
        """A thumb: +1, -1, or 0 to take it back. Raises NotFound for what is not a reply of this home."""
        if value not in THUMBS:
            raise AttuneError(f"A rating is up (1), down (-1) or clear (0), not {value!r}.")
        reason = None if why is None or is_blank(why) else message_text(why, "reason")
        return self._append(reply_id, "thumb", value, why=reason, source=source)

    def edit_reply(self, reply_id: str, text: str, source: str = "owner") -> Feedback:
        """The owner's better version of a reply. Raises BadText when it is empty or nothing changed."""
        better = message_text(text, "edit")
        if better.strip() == self._reply(reply_id).content.strip():
            raise BadText("The edited reply says the same as the reply; nothing was saved.")
        return self._append(reply_id, "edit", 1, text=better, source=source)

    def pick(self, reply_id: str, other_id: str, source: str = "owner") -> Feedback:
        """`reply_id` was preferred to `other_id`, which must answer the same message."""
        self._reply(other_id)
        if other_id == reply_id or other_id not in {reply.id for reply in self.siblings(reply_id)}:
            raise AttuneError("Only two different replies to the same message can be picked between.")
        return self._append(reply_id, "pick", 1, other_id=other_id, source=source)

    def feedback(self, reply_id: str | None = None, after_seq: int = 0) -> list[Feedback]:
        """Every event ever given (undone ones too), or those on one reply, ordered by seq."""
        # in one statement for both, SQLite would read the whole table for the events on one reply
        of_reply, reply = ("", ()) if reply_id is None else (" AND reply_id = ?", (as_written(reply_id),))
        found = self.db.rows(
            f"SELECT {COLUMNS} FROM feedback WHERE seq > ?{of_reply} ORDER BY seq", (after_seq, *reply)
        )
        return [_feedback(row) for row in found]

    def effective(self, reply_id: str) -> Feedback | None:
        """The thumb that stands on a reply now, or None."""
        row = self.db.row(
            f"SELECT {COLUMNS} FROM signal WHERE reply_id = ? AND kind = 'thumb'", (as_written(reply_id),)
        )
        return None if row is None else _feedback(row)

    def newest_pick(self, reply_id: str, other_id: str) -> Feedback | None:
        """The newest pick between two replies, whichever of them was preferred; None where there is none."""
        row = self.db.row(
            f"SELECT {COLUMNS} FROM feedback WHERE kind = 'pick' AND"
            " ((reply_id = :one AND other_id = :other) OR (reply_id = :other AND other_id = :one))"
            " ORDER BY created_at DESC, seq DESC LIMIT 1",
            {"one": as_written(reply_id), "other": as_written(other_id)},
        )
        return None if row is None else _feedback(row)

    def signals(self) -> list[tuple[Feedback, Message]]:
        """What counts, with the reply it is about, oldest first; lighter than `ledger`."""
        found = self.db.rows(f"SELECT {COLUMNS} FROM signal ORDER BY created_at, seq")
        replies = {
            row["id"]: read_message(row)
            for row in self.db.rows("SELECT * FROM message WHERE id IN (SELECT reply_id FROM signal)")
        }
        # Between the two statements a conversation may have been forgotten by another thread.
        return [
            (event, replies[event.reply_id]) for event in map(_feedback, found) if event.reply_id in replies
        ]

    def ledger(self, withheld: bool = False) -> list[tuple[Feedback, Message, Generation]]:
        """What counts: the newest thumb of each reply unless cleared, all edits, all picks; oldest first.

        Every training row comes from here, so events on replies that knew a forgotten memory (withheld.py)
        are left out, unless `withheld` asks for them too: to count, never to train.
        """
        out = set() if withheld else all_withheld(self.db)
        return [
            (event, reply, self.generation(reply.id))
            for event, reply in self.signals()
            if out.isdisjoint({event.reply_id, event.other_id})
        ]

    def signals_since(self, seq: int, base: str | None = None) -> int:
        """How many signals that count now came after event `seq`; with `base`, those on its replies only."""
        row = self.db.row(
            "SELECT COUNT(*) AS n FROM signal WHERE seq > :seq AND (:base IS NULL OR EXISTS ("
            " SELECT 1 FROM generation WHERE reply_id = signal.reply_id AND base = :base))",
            {"seq": seq, "base": base},
        )
        return int(row["n"]) if row else 0

    def last_seq(self) -> int:
        """The seq of the newest event ever given; 0 before the first. Never goes down."""
        row = self.db.row("SELECT seq FROM sqlite_sequence WHERE name = 'feedback'")
        return int(row["seq"]) if row else 0

    def ledger_version(self) -> int:
        """Grows with every event and every erased event: the key to cache what is derived from them."""
        row = self.db.row("SELECT version FROM ledger_version")
        return int(row["version"]) if row else 0

    def _reply(self, reply_id: str) -> Message:
        try:
            found = self.message(reply_id)
        except NotFound:
            raise self._no_reply(reply_id) from None
        if found.role != "assistant":
            raise self._no_reply(reply_id)
        return found

    @staticmethod
    def _no_reply(reply_id: str) -> NotFound:
        return NotFound(f"No reply {quoted(reply_id)} in this home; `attune ask --json` prints reply ids.")

    def _append(
        self,
        reply_id: str,
        kind: FeedbackKind,
        value: Literal[-1, 0, 1] | int,
        *,
        why: str | None = None,
        text: str | None = None,
        other_id: str | None = None,
        source: str = "owner",
    ) -> Feedback:
        with self.db.transaction() as connection:
            self._reply(reply_id)
            row = connection.execute(
                "INSERT INTO feedback (id, reply_id, kind, value, created_at, why, text, other_id, source)"
                # never older than what was said of these replies before, whatever the clock did meanwhile
                " VALUES (:id, :reply, :kind, :value, MAX(:now, COALESCE("
                "(SELECT MAX(created_at) FROM feedback"
                " WHERE reply_id IN (:reply, :other) OR other_id IN (:reply, :other)), 0)),"
                f" :why, :text, :other, :source) RETURNING {COLUMNS}",
                {
                    "id": uuid.uuid4().hex,
                    "reply": reply_id,
                    "kind": kind,
                    "value": value,
                    "now": time.time(),
                    "why": why,
                    "text": text,
                    "other": other_id,
                    "source": as_written(source),
                },
            ).fetchone()
        return _feedback(row)


def read_message(row: sqlite3.Row) -> Message:
    fields = dict(row)
    # homes from before they were cleaned when written may hold what no prompt can render
    fields["tool_calls"] = tuple(all_as_written(json.loads(fields["tool_calls"])))
    fields["complete"] = bool(fields["complete"])
    return Message(**fields)


def _feedback(row: sqlite3.Row) -> Feedback:
    return Feedback(**dict(row))
