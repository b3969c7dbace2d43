"""A home with something to forget, as the loop would have written it."""

from __future__ import annotations

from collections.abc import Sequence

from memory.journal import Journal
from memory.records import Memory, Message, Recalled
from tests.support import generation


def told(journal: Journal, question: str, reply: str, shown: Sequence[Memory] = ()) -> Message:
    """A reply in a conversation of its own, whose prompt showed these memories."""
    asked = journal.add_user(journal.start_conversation().id, None, question)
    recalled = [Recalled(memory.id, memory.text, 0.9) for memory in shown]
    return journal.add_reply(asked.conversation_id, asked.id, reply, generation(question, recalled))


def then(journal: Journal, after: Message, question: str, reply: str) -> Message:
    """A further turn on the branch that ends at `after`, with all of it in its prompt."""
    asked = journal.add_user(after.conversation_id, after.id, question)
    before = journal.generation(after.id)
    messages = (
        *before.messages,
        {"role": "assistant", "content": after.content},
        {"role": "user", "content": question},
    )
    text = f"{before.prompt_text}{after.content}<|user|>{question}<|assistant|>"
    made = generation(question, messages=messages, prompt_text=text)
    return journal.add_reply(after.conversation_id, asked.id, reply, made)
