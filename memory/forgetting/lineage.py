"""What each adapter was trained on, so that whoever forgets something learns which adapters still know it.

An adapter is marked when anything of its lineage is gone from the home: a feedback event, a reply, a memory,
or a reply that is withheld from training (see erase.py). That is read off the tables (the view `forgotten`
in schema.py) and stored nowhere, so every way of deleting marks, in the transaction that deletes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from memory.database import Database
from memory.errors import AttuneError
from memory.records import Adapter

KINDS = {"feedback": ("rating", "ratings"), "memory": ("memory", "memories")}
OTHER = ("reply that knew a memory or a document", "replies that knew a memory or a document")


class ForgottenMeanwhile(AttuneError):
    def __init__(self) -> None:
        super().__init__(
            "Something that this adapter was trained on was forgotten meanwhile, so it is not kept; "
            "run `attune train` again."
        )


def record(db: Database, adapter: str, feedback: Iterable[str], replies: Iterable[str] = ()) -> None:
    """Write down that `adapter` was trained on these feedback events (ids), and on these replies.

    The replies that the events name, and the memories that all those replies were shown, are added from
    the tables. Raises ForgottenMeanwhile when any of it is gone already: the owner forgot it while the
    adapter was trained.
    """
    events, named = json.dumps(sorted(set(feedback))), json.dumps(sorted(set(replies)))
    with db.transaction() as connection:
        for statement in (
            "INSERT OR IGNORE INTO lineage SELECT :adapter, 'feedback', value FROM json_each(:events)",
            "INSERT OR IGNORE INTO lineage SELECT :adapter, 'reply', value FROM json_each(:named)",
            "INSERT OR IGNORE INTO lineage SELECT :adapter, 'reply', reply_id FROM feedback"
            " WHERE id IN (SELECT value FROM json_each(:events))",
            "INSERT OR IGNORE INTO lineage SELECT :adapter, 'reply', other_id FROM feedback"
            " WHERE other_id IS NOT NULL AND id IN (SELECT value FROM json_each(:events))",
            # a reply may name a memory that this home never had, or not any more (an import, one made again
            # after it was forgotten): what is forgotten while training shows by its replies, withheld with it
            "INSERT OR IGNORE INTO lineage SELECT :adapter, 'memory', memory_id FROM shown"
            " WHERE memory_id IN (SELECT id FROM memory)"
            " AND reply_id IN (SELECT of_id FROM lineage WHERE adapter = :adapter AND kind = 'reply')",
        ):
            connection.execute(statement, {"adapter": adapter, "events": events, "named": named})
        if connection.execute("SELECT 1 FROM forgotten WHERE adapter = ?", (adapter,)).fetchone():
            raise ForgottenMeanwhile


def record_everything(db: Database, adapter: str) -> None:
    """For an adapter of which nobody knows: it counts as trained on every rating and memory there is."""
    with db.transaction() as connection:
        for table in ("feedback", "memory"):
            connection.execute(
                f"INSERT OR IGNORE INTO lineage SELECT ?, '{table}', id FROM {table}", (adapter,)
            )


def of(db: Database, adapter: str) -> dict[str, list[str]]:
    """The ids that `adapter` was trained on, by kind: "feedback", "reply", "memory"."""
    found: dict[str, list[str]] = {"feedback": [], "reply": [], "memory": []}
    for row in db.rows("SELECT kind, of_id FROM lineage WHERE adapter = ? ORDER BY of_id", (adapter,)):
        found[row["kind"]].append(row["of_id"])
    return found


def forgotten(db: Database) -> dict[str, dict[str, int]]:
    """Marked adapters, each with how much of what it was trained on is forgotten, by kind."""
    found: dict[str, dict[str, int]] = {}
    for row in db.rows("SELECT adapter, kind, COUNT(*) AS n FROM forgotten GROUP BY adapter, kind"):
        found.setdefault(row["adapter"], {})[row["kind"]] = int(row["n"])
    return found


def drop(db: Database, adapter: str) -> None:
    """The adapter itself is gone; nothing of its lineage stays."""
    with db.transaction() as connection:
        connection.execute("DELETE FROM lineage WHERE adapter = ?", (adapter,))


def mark(adapter: Adapter) -> str:
    """What is to be said of a marked adapter: "trained on 2 ratings that were forgotten since"; else ""."""
    parts = _parts(adapter.forgotten)
    if not parts:
        return ""
    one = len(parts) == 1 and parts[0].startswith("1 ")
    return f"trained on {' and '.join(parts)} that {'was' if one else 'were'} forgotten since"


def what_to_do(adapter: Adapter) -> str:
    """The sentence for the person while a marked adapter speaks; "" for any other adapter."""
    said = mark(adapter)
    if not said:
        return ""
    return f"{adapter.version} speaks and was {said}: `attune forget --retrain` trains one without it."


def _parts(counts: Mapping[str, int]) -> list[str]:
    parts = [
        f"{counts[kind]} {one if counts[kind] == 1 else many}"
        for kind, (one, many) in KINDS.items()
        if counts.get(kind)
    ]
    if not parts and (replies := counts.get("reply", 0)):
        parts = [f"{replies} {OTHER[replies > 1]}"]
    return parts
