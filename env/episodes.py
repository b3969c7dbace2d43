"""The journal read as a Markov decision process: what the policy saw, what it said, what it earned.

The state is the exact chat list that was shown to the policy, the action is its reply, the reward is
what the owner thought of it, and the next state is the prompt of the reply that followed on the same
branch (None where the conversation stops). Text only: no tokens and no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from env import rewards
from memory.journal import Journal
from memory.records import Feedback, Generation, Message

State = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One reply on one branch. `reward` is +1, -1, or 0 for a reply that nobody judged."""

    state: State
    action: str
    reward: float
    next_state: State | None
    reply: Message
    generation: Generation


@dataclass(frozen=True, slots=True)
class Signal:
    """One event of the ledger, the reply that it judges and, for a pick, the reply that lost."""

    feedback: Feedback
    reply: Message
    generation: Generation
    other: Message | None = None
    other_generation: Generation | None = None


def episode(journal: Journal, leaf_id: str) -> tuple[Step, ...]:
    """The branch that ends at message `leaf_id`, as steps in the order they were said.

    Rewards are effective thumbs (the latest one that was not taken back).
    """
    replies = [m for m in journal.path(leaf_id) if m.role == "assistant"]
    generations = [journal.generation(reply.id) for reply in replies]
    return tuple(
        Step(
            state=tuple(generation.messages),
            action=reply.content,
            reward=_thumb(journal.effective(reply.id)),
            next_state=tuple(generations[at + 1].messages) if at + 1 < len(replies) else None,
            reply=reply,
            generation=generation,
        )
        for at, (reply, generation) in enumerate(zip(replies, generations, strict=True))
    )


def signals(journal: Journal) -> Iterator[Signal]:
    """Every effective event of the ledger, oldest first, each with the replies that it speaks of."""
    for feedback, reply, generation in journal.ledger():
        if feedback.kind == "pick" and feedback.other_id is not None:
            yield Signal(
                feedback,
                reply,
                generation,
                journal.message(feedback.other_id),
                journal.generation(feedback.other_id),
            )
        else:
            yield Signal(feedback, reply, generation)


def _thumb(feedback: Feedback | None) -> float:
    return rewards.thumb(None if feedback is None else feedback.value)
