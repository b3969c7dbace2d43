"""Chat, rate, train, swap on a tiny model of each family, through a real runtime in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.events import Event, ReplyDone, TurnFailed, TurnStarted
from agent.runtime import Runtime
from policies.gate.verdict import Limits
from policies.language_policy import LanguagePolicy
from policies.policy import SamplingParams
from policies.update.job import LearningSettings, run_update
from tests.policies.rated import small_exam
from tests.policies.tiny_models import FAMILIES, make_model

# a random model talks nonsense before and after: only what it must not lose may decide
LENIENT = Limits(degenerate=1.0, truncated=1.0, longest=1e9, shortest=0.0, distinct=0.0, kl=1e9)
GREEDY = SamplingParams(temperature=0.0, max_new_tokens=12)


@pytest.fixture(params=FAMILIES)
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    family: str = request.param
    # room for the tools: a tokenizer this small makes a token of every second character
    model = make_model(tmp_path / family, family, initializer_range=0.1, max_position_embeddings=4096)
    opened = Runtime.open(tmp_path / "home", model=str(model), memory=False, updates=False, max_new_tokens=12)
    opened.warm()
    yield opened
    opened.close()


def ended(events: Sequence[Event]) -> ReplyDone:
    assert not [event.text for event in events if isinstance(event, TurnFailed)]
    return next(event for event in events if isinstance(event, ReplyDone))


def talk(runtime: Runtime) -> list[ReplyDone]:
    """Three conversations of two turns."""
    replies = []
    for thing in ("trees", "bread", "the night sky"):
        first = ended(list(runtime.loop.turn(f"Tell me about {thing}.")))
        replies += [first, ended(list(runtime.loop.turn("Go on.", first.message.conversation_id)))]
    return replies


def test_chat_rate_train_swap_and_back(runtime: Runtime) -> None:
    policy = runtime.policy
    assert isinstance(policy, LanguagePolicy)
    replies = talk(runtime)
    assert {reply.generation.adapter for reply in replies} == {None}
    before = ended(list(runtime.loop.turn("Hello.", sampling=GREEDY)))
    for number, reply in enumerate(replies):
        runtime.rate(reply.message.id, 1 if number % 2 else -1)
    result = run_update(
        runtime.home,
        settings=LearningSettings(learning_rate=5e-3, epochs=3, batch_size=4),
        policy=policy,
        exam=small_exam(),
        limits=LENIENT,
    )
    assert (result.adapter, result.algorithm, result.signals) == ("v1", "kto", 6)
    assert result.verdict in ("promoted", "provisional")
    after = ended(list(runtime.loop.turn("Hello.", sampling=GREEDY)))
    assert after.generation.adapter == policy.adapter == "v1"
    assert policy.served_sha256 == runtime.registry.get("v1").sha256
    assert runtime.learning_status().adapter == "v1"
    assert runtime.why(after.message.id).adapter["version"] == "v1"
    assert runtime.rollback() is None
    again = ended(list(runtime.loop.turn("Hello.", sampling=GREEDY)))
    assert again.generation.adapter is None
    assert again.generation.completion_ids == before.generation.completion_ids


def test_another_reply_and_another_question_are_siblings(runtime: Runtime) -> None:
    journal = runtime.journal
    first = ended(list(runtime.loop.turn("Tell me about trees."))).message
    other = ended(list(runtime.loop.regenerate(first.id))).message
    assert {one.id for one in journal.siblings(first.id)} == {first.id, other.id}
    assert first.parent_id == other.parent_id
    picked = runtime.pick(other.id, first.id)
    assert (picked.kind, picked.reply_id, picked.other_id) == ("pick", other.id, first.id)

    assert first.parent_id is not None
    events = list(runtime.loop.edit_user(first.parent_id, "Tell me about rivers."))
    asked = next(event for event in events if isinstance(event, TurnStarted)).message
    assert {one.content for one in journal.siblings(asked.id)} == {
        "Tell me about trees.",
        "Tell me about rivers.",
    }
    branch = [message.id for message in journal.path(ended(events).message.id)]
    assert branch == [asked.id, ended(events).message.id]
    assert ended(events).message.conversation_id == first.conversation_id
