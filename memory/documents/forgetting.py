"""Forgetting documents: rows, full text, vectors, the lines of stored prompts and of tool results that
showed them.

As for a memory (erase.py): the replies that were shown a passage of them, or whose prompt holds one as
history, are withheld from training, which marks the adapters that learned from them. A process that dies
before the traces outside of the tables are cleared leaves a note, and the next start clears them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from memory.documents.records import Document
from memory.documents.search import PassageSearch
from memory.documents.store import DocumentStore
from memory.forgetting import withheld
from memory.forgetting.erase import clear_workshop, forgetting
from memory.records import FORGOTTEN, Memory

SHOWN = """
    SELECT DISTINCT generation.reply_id, json_extract(one.value, '$.text') AS text
    FROM generation, json_each(generation.body, '$.passages') AS one
    WHERE json_extract(one.value, '$.document_id') IN (SELECT value FROM json_each(?))
"""


def forget_documents(store: DocumentStore, search: PassageSearch, documents: Sequence[Document]) -> None:
    """Delete them everywhere. The files themselves are not touched."""
    with forgetting(store.db):
        _forget(store, search, documents)


def _forget(store: DocumentStore, search: PassageSearch, documents: Sequence[Document]) -> None:
    db, ids = store.db, [one.id for one in documents]
    with db.transaction() as connection:
        passages = store.passage_ids(ids)
        shown = connection.execute(SHOWN, (json.dumps(ids),)).fetchall()
        connection.executemany(
            "INSERT OR IGNORE INTO withheld VALUES (?)", [(row["reply_id"],) for row in shown]
        )
        texts = {row["text"] for row in shown if row["text"] != FORGOTTEN}
        # as it stands in a prompt, and as the recall tool once wrote it, with the newlines of the file
        lines = {line for text in texts for line in (one_line(text), text)}
        withheld.withhold(db, [Memory(f"passage of {ids[0]}", line, "passage", 0.0) for line in lines])
        _scrub_prompts(store, lines, set(ids))
        connection.executemany("DELETE FROM document WHERE id = ?", [(one,) for one in ids])
        # FTS5 marks deleted words and drops them when it merges.
        connection.execute("INSERT INTO passage_text (passage_text) VALUES ('optimize')")
        connection.execute("INSERT OR IGNORE INTO unfinished VALUES ('log'), ('index')")
        # a backup from before still has it, and goes (backups.py)
        connection.execute("UPDATE erasures SET count = count + 1")
    search.index.forget([str(one) for one in passages])
    with db.transaction() as connection:
        connection.execute("DELETE FROM unfinished WHERE what = 'index'")
    clear_workshop(db.path.parent)
    if db.scrub():
        with db.transaction() as connection:
            connection.execute("DELETE FROM unfinished WHERE what = 'log'")


def one_line(text: str) -> str:
    """A passage as it stands in a prompt and in what the recall tool tells."""
    return " ".join(text.split())


def _scrub_prompts(store: DocumentStore, lines: set[str], ids: set[str]) -> None:
    """The passages read "(forgotten)" from now on. A prompt that changed loses its token ids, which spell
    the old text."""
    with store.db.transaction() as connection:
        # As agent/prompt.py shows it: "- [1] text". The longest first: a passage may be the beginning of
        # another one, of which the rest would stay.
        for line in (f"] {line}" for line in sorted(lines, key=len, reverse=True)):
            forgotten = {"line": line, "gone": f"] {FORGOTTEN}"}
            connection.execute(
                "UPDATE message SET sent = replace(sent, :line, :gone) WHERE instr(sent, :line)", forgotten
            )
            # what a tool told stands in later prompts as it is stored
            connection.execute(
                "UPDATE message SET content = replace(content, :line, :gone)"
                " WHERE role = 'tool' AND instr(content, :line)",
                forgotten,
            )
            for row in connection.execute(
                "SELECT reply_id, body FROM generation WHERE instr(body, ?)", (json.dumps(line)[1:-1],)
            ).fetchall():
                body: dict[str, Any] = json.loads(row["body"])
                shown = {name: _replaced(body[name], line) for name in ("messages", "prompt_text")}
                if shown["prompt_text"] != body["prompt_text"]:
                    body["prompt_ids"] = []
                _update(connection, row["reply_id"], {**body, **shown})
        for row in connection.execute(SHOWN, (json.dumps(sorted(ids)),)).fetchall():
            found = connection.execute(
                "SELECT body FROM generation WHERE reply_id = ?", (row["reply_id"],)
            ).fetchone()
            body = json.loads(found["body"])
            body["passages"] = [
                {**one, "text": FORGOTTEN, "path": FORGOTTEN, "heading": ""}
                if one["document_id"] in ids
                else one
                for one in body["passages"]
            ]
            _update(connection, row["reply_id"], body)


def _update(connection: Any, reply_id: str, body: dict[str, Any]) -> None:
    connection.execute("UPDATE generation SET body = ? WHERE reply_id = ?", (json.dumps(body), reply_id))


def _replaced(value: Any, line: str) -> Any:
    if isinstance(value, str):
        return value.replace(line, f"] {FORGOTTEN}")
    if isinstance(value, dict):
        return {key: _replaced(inner, line) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, line) for inner in value]
    return value
