"""The journal read as a Markov decision process: what the policy saw, what it said, what it earned.

The state is the exact chat list that was shown to the policy, the action is its reply, the reward is
what the owner thought of it, and the next state is the prompt of the reply that followed on the same
branch (None where the conversation stops). Text only: no tokens and no model. `env.replay` plays the
episodes through gymnasium.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from env import rewards
from memory.journal import Journal
from memory.records import Feedback, Generation, Message

State = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One reply on one branch. `reward` lies in [-1, 1]; 0 for a reply that nobody judged.

    `prompt` is what the reply answers as it was written: a question, or the result of a tool.
    """

    state: State
    action: str
    reward: float
    next_state: State | None
    reply: Message
    generation: Generation
    prompt: str = ""


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

    A reward is the effective thumb (the latest one that was not taken back); without one it is what the
    newest edit or pick says of the reply (see `env.rewards`).
    """
    return _steps(journal, leaf_id, _judged(journal), journal.generation)


def episodes(journal: Journal) -> Iterator[tuple[Step, ...]]:
    """Every branch of every conversation, oldest first; what branches share is in each of them."""
    judged = _judged(journal)
    for conversation in reversed(journal.conversations(limit=-1)):
        # read once, or a conversation of many branches takes memory that grows with its square
        generation = cache(journal.generation)
        for leaf_id in _last_replies(journal.messages(conversation.id)):
            yield _steps(journal, leaf_id, judged, generation)


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


def _steps(
    journal: Journal, leaf_id: str, judged: Mapping[str, float], generation_of: Callable[[str], Generation]
) -> tuple[Step, ...]:
    path = pairwise([None, *journal.path(leaf_id)])
    said = [(before, reply) for before, reply in path if reply and reply.role == "assistant"]
    generations = [generation_of(reply.id) for _, reply in said]
    following = [*(tuple(generation.messages) for generation in generations[1:]), None]
    return tuple(
        Step(
            state=tuple(generation.messages),
            action=reply.content,
            reward=judged.get(reply.id, 0.0),
            next_state=then,
            reply=reply,
            generation=generation,
            prompt=before.content if before else "",
        )
        for (before, reply), generation, then in zip(said, generations, following, strict=True)
    )


def _judged(journal: Journal) -> dict[str, float]:
    """Reply id -> reward, of all replies that something was said about."""
    thumbs, others = {}, {}
    for event, reply in journal.signals():
        if event.kind == "thumb":
            thumbs[reply.id] = rewards.thumb(event.value)
            continue
        others[reply.id] = rewards.reward(event, reply.id, reply.content)
        if event.other_id:
            others[event.other_id] = rewards.reward(event, event.other_id)
    return others | thumbs


def _last_replies(messages: Sequence[Message]) -> list[str]:
    """Ids of the replies of a tree that no other reply follows, oldest first; `messages` oldest first."""
    followed: set[str | None] = set()
    found = []
    for message in reversed(messages):
        if message.role == "assistant" and message.id not in followed:
            found.append(message.id)
        if message.role == "assistant" or message.id in followed:
            followed.add(message.parent_id)
    return found[::-1]
