"""What a turn knows that may be forgotten while its reply is being made.

Whoever forgets clears what is stored by then. The reply that is written down after it must not bring back
what is gone: it is cleared like those before it, and withheld from training (memory/forgetting/withheld.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent import prompt
from memory.database import Database
from memory.forgetting import withheld
from memory.forgetting.oblivion import without
from memory.journal import Journal
from memory.records import FORGOTTEN, Generation, Memory, Message, Passage, Recalled

# Those that are shown now, or were shown or told in the conversation: they stand in its prompts.
MEMORIES = """
    SELECT id, text, kind, created_at, source_message_id FROM memory
    WHERE id IN (SELECT value FROM json_each(:ids))
        OR id IN (SELECT memory_id FROM shown JOIN message ON message.id = reply_id
            WHERE conversation_id = :conversation)
        OR source_message_id IN (SELECT id FROM message WHERE conversation_id = :conversation)
"""
DOCUMENTS = "SELECT id FROM document WHERE id IN (SELECT value FROM json_each(?))"


@dataclass(slots=True)
class Known:
    """Noted before the prompt is made; `erasures` is how often something had been erased by then."""

    erasures: int
    memories: dict[str, Memory] = field(default_factory=dict)
    documents: set[str] = field(default_factory=set)

    def see(
        self, db: Database, conversation_id: str, recalled: Sequence[Recalled], passages: Sequence[Passage]
    ) -> None:
        """Note what a prompt of this conversation shows, as far as it is still there."""
        ids = json.dumps([one.memory_id for one in recalled])
        for row in db.rows(MEMORIES, {"ids": ids, "conversation": conversation_id}):
            self.memories[row["id"]] = Memory(**dict(row))
        if passages:
            self.documents |= _documents(db, {one.document_id for one in passages})

    def add_reply(
        self,
        journal: Journal,
        leaf: Message,
        text: str,
        generation: Generation,
        calls: Sequence[dict[str, Any]],
    ) -> tuple[Message, Generation]:
        """Store a reply and how it came about, both as they may be kept."""
        with journal.db.transaction():
            cleared = self.cleared(journal, leaf, text, generation, calls)
            text, generation, calls = cleared or (text, generation, calls)
            reply = journal.add_reply(leaf.conversation_id, leaf.id, text, generation, tool_calls=calls)
            if cleared:
                withheld.hold_back(journal.db, reply.id)
        return reply, generation

    def cleared(
        self,
        journal: Journal,
        leaf: Message,
        text: str,
        generation: Generation,
        calls: Sequence[dict[str, Any]] = (),
    ) -> tuple[str, Generation, Sequence[dict[str, Any]]] | None:
        """A reply under `leaf` without what was forgotten since; None when it was shown nothing of that.

        Call it in the transaction that stores the reply, so that nothing is forgotten between the two.
        """
        db = journal.db
        if db.erasures() == self.erasures:
            return None
        left = {row["id"] for row in db.rows("SELECT id FROM memory")}
        gone = [one for one in self.memories.values() if one.id not in left]
        files = self.documents - _documents(db, self.documents)
        messages = _as_stored(journal.path(leaf.id), generation.messages)
        if not gone and not files and messages == list(generation.messages):
            return None
        words = [*gone, *_as_memories(one for one in generation.passages if one.document_id in files)]
        said = without(text, words)
        ids = {one.id for one in gone}
        return (
            said,
            replace(
                generation,
                messages=tuple(without(messages, words)),
                # it spells the words, as tokens do: like a prompt that was never rendered
                prompt_text="",
                prompt_ids=(),
                completion_ids=generation.completion_ids if said == text else (),
                recalled=tuple(
                    replace(one, text=FORGOTTEN) if one.memory_id in ids else one
                    for one in generation.recalled
                ),
                passages=tuple(
                    replace(one, text=FORGOTTEN, path=FORGOTTEN, heading="")
                    if one.document_id in files
                    else one
                    for one in generation.passages
                ),
                card_lines=tuple(without(list(generation.card_lines), words)),
            ),
            without(list(calls), words),
        )


def show(
    journal: Journal, source: Message, recalled: Sequence[Recalled], passages: Sequence[Passage]
) -> tuple[Known, list[Recalled], list[Passage]]:
    """Write down what is shown with `source`: what was found for it, and is still there."""
    with journal.db.transaction():
        known = Known(journal.db.erasures())
        known.see(journal.db, source.conversation_id, recalled, passages)
        shown = [one for one in recalled if one.memory_id in known.memories]
        told = [one for one in passages if one.document_id in known.documents]
        journal.set_sent(source.id, prompt.with_memories(source.content, shown, told))
    return known, shown, told


def _as_stored(path: Sequence[Message], shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The prompt `shown` with its messages as the journal has them now, from which the words were taken."""
    count = len(shown) - 1

    def the_same(told: Sequence[dict[str, Any]]) -> int:
        return sum(one == other for one, other in zip(told, shown[1:], strict=False))

    # messages that were never answered may stand in it, or not
    either = [prompt.history(path, unanswered)[-count:] for unanswered in (True, False)]
    return [shown[0], *max(either, key=the_same)]


def _as_memories(passages: Any) -> list[Memory]:
    return [Memory(one.document_id, one.text, "passage", 0.0) for one in passages]


def _documents(db: Database, ids: set[str]) -> set[str]:
    return {row["id"] for row in db.rows(DOCUMENTS, (json.dumps(sorted(ids)),))}
