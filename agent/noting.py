"""What a turn leaves in the memories: what the owner stated, and questions about what was inferred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.events import Notice
from memory import learning
from memory.learning import Learned
from memory.records import Message, Recalled

if TYPE_CHECKING:
    from agent.runtime import Runtime


def listen(runtime: Runtime, message: Message) -> tuple[set[str], list[Notice]]:
    """Store what `message` states explicitly: the ids of the new memories, and what to tell the person.

    Only the database is written, so that the first token need not wait for a vector: the next search
    brings the index in step.
    """
    learned = learning.listen(runtime.facts, message)
    ids = {one.memory.id for one in learned if one.memory is not None}
    return ids, [Notice(text) for one in learned if (text := told(one))]


def told(learned: Learned) -> str:
    """What is said of a new memory that took the place of others; "" of any other."""
    if learned.memory is None or not learned.replaced:
        return ""
    before = " and ".join(f"\u201c{one.text}\u201d" for one in learned.replaced)
    past = "`attune memory list --past` shows what held before."
    return f"Now \u201c{learned.memory.text}\u201d holds, in the place of {before}; {past}"


def recall(runtime: Runtime, text: str, new: set[str]) -> list[Recalled]:
    """What matters for `text`, but for the memories that it has just told itself (ids `new`)."""
    most = runtime.settings.recall_k
    found = runtime.recall.search(text, k=most + len(new))
    return [one for one in found if one.memory_id not in new][:most]


def questions(runtime: Runtime, recalled: Sequence[Recalled]) -> list[Notice]:
    """A question for each inferred memory that matters for this turn, each asked once."""
    return [
        Notice(
            f"I only inferred this: \u201c{one.text}\u201d Is it so? "
            f"`/memory yes` keeps it, `/memory no` takes it back "
            f"(in a shell `attune memory confirm {one.id}`, or `retract`)."
        )
        for one in runtime.facts.to_ask([one.memory_id for one in recalled])
    ]
