"""Conversations and messages that are longer than the model reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.events import Notice, ReplyDone, TextDelta, TurnStarted
from policies.policy import SamplingParams
from tests.agent.scripted import ScriptedPolicy, scripted_runtime
from tests.agent.turns import Make, done, failed


def test_the_oldest_turns_leave_first_and_the_person_is_told_once(make_runtime: Make) -> None:
    runtime = make_runtime("word " * 20, context_length=200)
    conversation: str | None = None
    notices: list[str] = []
    cuts: list[str] = []
    for number in range(12):
        events = list(runtime.loop.turn(f"question{number} " + "word " * 9, conversation))
        conversation = done(events).message.conversation_id
        notices += [event.text for event in events if isinstance(event, Notice) and "left out" in event.text]
        seen = runtime.policy.seen[-1]  # type: ignore[attr-defined]
        assert runtime.policy.count_tokens(seen) <= 150
        assert seen[0]["role"] == "system"
        assert seen[1]["role"] == "user"
        assert seen[-1]["content"].startswith(f"question{number} ")
        cuts.append(seen[1]["content"].split()[0])
    assert notices
    # The cut moves in steps, so that the prefix (and its cache) lasts for more than one turn.
    assert len(set(cuts)) < len(cuts) - 3
    assert len(notices) == len(set(cuts)) - 1


def test_a_message_longer_than_the_context_is_kept_and_refused(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.", context_length=100)
    first = done(list(runtime.loop.turn("Hi.")))
    events = list(runtime.loop.turn("word " * 200_000, first.message.conversation_id))
    assert "at most 75" in failed(events)
    user = next(event for event in events if isinstance(event, TurnStarted)).message
    assert len(runtime.journal.message(user.id).content) > 900_000
    after = list(runtime.loop.turn("Still there?", first.message.conversation_id))
    assert done(after).message.content == "Hello."
    assert runtime.journal.path(done(after).message.id)[0].content == "Hi."
    assert "word" not in str(runtime.policy.seen[-1])  # type: ignore[attr-defined]


def test_a_face_that_goes_on_from_a_refused_message_does_not_pay_for_it(
    make_runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = make_runtime("Hello.", context_length=100)
    events = list(runtime.loop.turn("word " * 200_000))
    user = next(event for event in events if isinstance(event, TurnStarted)).message
    assert runtime.journal.conversation(user.conversation_id).head_id is None
    counted: list[int] = []
    count = runtime.policy.count_tokens

    def counting(messages: Any, tools: Any = ()) -> int:
        counted.append(count(messages, tools))
        return counted[-1]

    monkeypatch.setattr(runtime.policy, "count_tokens", counting)
    assert done(list(runtime.loop.turn("And here?", parent_id=user.id))).message.content == "Hello."
    assert max(counted) < 100


def test_another_reply_that_has_no_room_moves_nothing(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.", context_length=1000)
    reply = done(list(runtime.loop.turn("word " * 100))).message
    small = make_runtime("Hello.", context_length=100)
    assert "at most 75" in failed(list(small.loop.regenerate(reply.id)))
    assert small.journal.conversation(reply.conversation_id).head_id == reply.id
    refused = list(small.loop.edit_user(reply.parent_id, "word " * 200))
    assert "at most 75" in failed(refused)
    assert small.journal.conversation(reply.conversation_id).head_id == reply.id


def test_memories_make_room_for_a_long_message(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.", context_length=100)
    runtime.recall.remember("The dog " + "word " * 40)
    events = list(runtime.loop.turn("The dog " + "word " * 50))
    assert done(events).generation.recalled == ()
    assert any(isinstance(event, Notice) and "make room" in event.text for event in events)


def test_the_reply_never_outgrows_the_context(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.", context_length=100)
    list(runtime.loop.turn("word " * 60, sampling=SamplingParams(max_new_tokens=90)))
    assert runtime.policy.sampling[0].max_new_tokens <= 100 - 60  # type: ignore[attr-defined]


class Preparing(ScriptedPolicy):
    """Keeps what it was asked to prepare, and how often it counted."""

    counts = 0

    def count_tokens(self, *asked: Any, **more: Any) -> int:
        self.counts += 1
        return super().count_tokens(*asked, **more)

    def prepare_next(self, messages: Any, tools: Any = ()) -> None:
        self.prepared = [dict(message) for message in messages]


def test_the_next_prompt_is_prepared_behind_the_reply_when_its_oldest_turns_leave(tmp_path: Path) -> None:
    policy = Preparing("word " * 20, context_length=400)
    runtime = scripted_runtime(tmp_path, policy)
    conversation: str | None = None
    prepared = 0
    for number in range(30):
        policy.prepared = []
        before = policy.counts
        events = runtime.loop.turn(f"question{number} " + "word " * 9, conversation)
        next(event for event in events if isinstance(event, TextDelta))
        # until the reply begins: the tools, the prompt, and nothing that grows with the conversation
        assert policy.counts - before <= 2
        reply = next(event for event in events if isinstance(event, ReplyDone))
        conversation = reply.message.conversation_id
        left_out = policy.seen[-1][1]["content"]
        assert policy.prepared == []
        assert list(events) == []
        if policy.prepared:
            prepared += 1
            assert policy.prepared[1]["content"] != left_out
            begin = policy.prepared
            list(runtime.loop.turn(f"And now {number}?", conversation, parent_id=reply.message.id))
            assert policy.seen[-1][:-1] == begin
    runtime.close()
    assert 3 < prepared < 15


def test_trouble_behind_a_reply_is_no_failed_turn(tmp_path: Path) -> None:
    policy = Preparing("word " * 60, context_length=200)
    runtime = scripted_runtime(tmp_path, policy)
    first = done(list(runtime.loop.turn("word " * 40)))

    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    policy.prepare_next = fail  # type: ignore[method-assign, assignment]
    events = list(runtime.loop.turn("word " * 40, first.message.conversation_id))
    runtime.close()
    assert isinstance(events[-1], ReplyDone)
