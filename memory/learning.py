"""What becomes a memory, and what does not: the one door between a conversation and the facts.

Nothing is stored twice, and nothing that was shown to the model is stored again because the model repeats
it. What the owner corrected does not come back from an older message, from a reply or from what was recalled;
only the owner's own statement of it, made after the correction, holds again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.facts import Facts
from memory.records import Memory, Message, Origin
from memory.statements.refining import to_the_letter
from memory.statements.relations import read
from memory.statements.stated import asks, meant, statements, worth
from memory.statements.wording import repeats, says


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of one candidate. `memory` is None when nothing was stored, and `why` says why.

    `new` is False for what was known already. `replaced` are the memories whose place it took.
    """

    memory: Memory | None
    why: str = ""
    new: bool = False
    replaced: tuple[Memory, ...] = ()


def listen(facts: Facts, message: Message) -> list[Learned]:
    """Store what the owner states explicitly in `message` (stated.py); what is new only."""
    found = [_store(facts, text, message, "said") for text in statements(message.content)]
    return [one for one in found if one.new]


def learn(
    facts: Facts, text: str, message: Message, shown: Sequence[str] = (), infer: bool = True
) -> Learned:
    """Store what a model wants to be remembered while it answers `message`.

    `shown` are the texts that it was shown (memories, passages). Without `infer` (a small model) only what
    the owner says in `message` is taken, in the owner's words where the model garbled them.
    """
    stated = says(message.content, text)
    if not stated and not infer and (theirs := meant(message.content, text)) is not None:
        text, stated = theirs, True
    if stated and (value := to_the_letter(text)) is not None and _in_another_case(value, message.content):
        # a password in another case is not what the owner said
        theirs = meant(message.content, text)
        text, stated = theirs or text, theirs is not None
    if not stated and any(
        repeats(text, one) for one in (*shown, *(m.text for m in _shown_before(facts, message)))
    ):
        return Learned(None, "That was recalled, so it is remembered already.")
    if not stated and not infer:
        return Learned(None, "The owner did not say that.")
    if not infer and not asks(message.content) and not worth(text):
        return Learned(None, "That is not a fact to keep.")
    return _store(facts, text, message, "said" if stated else "inferred")


def _in_another_case(value: str, text: str) -> bool:
    return value not in text and value.casefold() in text.casefold()


def _store(facts: Facts, text: str, message: Message, origin: Origin) -> Learned:
    with facts.db.transaction():
        if facts.db.row("SELECT 1 FROM unlearned WHERE message_id = ?", (message.id,)) is not None:
            return Learned(None, "Something of that message was forgotten, so it is not learned from again.")
        known, corrected_now = facts.known(text)
        # what holds is no correction's to refuse, whatever was corrected before it
        if (known is None or corrected_now) and (past := facts.ended_like(text)) is not None:
            corrected = past.ended_at or 0.0
            if origin == "inferred" or message.created_at <= corrected:
                return Learned(None, "The owner corrected that.")
        contradicted = facts.contradicted(read(text))
        if known is not None and corrected_now:
            contradicted.insert(0, known)
        if origin == "inferred" and any(one.origin == "said" for one in contradicted):
            return Learned(None, "The owner said otherwise.")
        before = facts.last_number()
        memory = facts.remember(text, source_message_id=message.id, origin=origin)
        new = facts.last_number() > before
        return Learned(memory, "" if new else "Known already.", new, tuple(contradicted) if new else ())


def _shown_before(facts: Facts, message: Message) -> list[Memory]:
    """The memories that replies of this conversation were shown."""
    ids = [
        row["memory_id"]
        for row in facts.db.rows(
            "SELECT DISTINCT memory_id FROM shown JOIN message ON message.id = reply_id"
            " WHERE conversation_id = ?",
            (message.conversation_id,),
        )
    ]
    return [facts.get(one) for one in ids if facts.db.row("SELECT 1 FROM memory WHERE id = ?", (one,))]
