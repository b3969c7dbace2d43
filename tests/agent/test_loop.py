"""One turn, from the person's words to the journal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from agent import prompt
from agent.events import (
    Notice,
    RecallDone,
    ReplyDone,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnStarted,
)
from agent.runtime import Runtime
from memory.errors import AttuneError
from policies.policy import SamplingParams
from tests.agent.scripted import Broken, call

Make = Callable[..., Runtime]


def kinds(events: list) -> list[type]:
    return [type(event) for event in events]


def said(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def done(events: list) -> ReplyDone:
    return next(event for event in events if isinstance(event, ReplyDone))


def failed(events: list) -> str:
    return next(event.text for event in events if isinstance(event, TurnFailed))


def test_a_turn_streams_and_is_durable_before_it_says_so(make_runtime: Make) -> None:
    runtime = make_runtime("Trees have leaves.")
    events = []
    for event in runtime.loop.turn("Tell me about trees."):
        if isinstance(event, TurnStarted):
            assert runtime.journal.message(event.message.id).content == "Tell me about trees."
        if isinstance(event, ReplyDone):
            assert runtime.journal.message(event.message.id).content == "Trees have leaves."
            kept = runtime.journal.generation(event.message.id)
            assert kept == event.generation
        events.append(event)
    assert kinds(events) == [TurnStarted, RecallDone, TextDelta, TextDelta, TextDelta, ReplyDone]
    reply = done(events)
    assert reply.generation.base == "scripted"
    assert reply.generation.messages[0] == {"role": "system", "content": prompt.PERSONA}
    assert reply.generation.messages[-1]["content"] == "Tell me about trees."
    assert reply.context_tokens == len(reply.generation.prompt_ids) + 3


def test_history_goes_on_from_the_head_and_repeats_what_was_sent(make_runtime: Make) -> None:
    runtime = make_runtime("One.", "Two.")
    runtime.recall.remember("The dog of the owner is called Fitzo.")
    first = done(list(runtime.loop.turn("What is the dog of the owner called?")))
    done(list(runtime.loop.turn("And now?", first.message.conversation_id)))
    before, after = runtime.policy.seen  # type: ignore[attr-defined]
    memories = "<memories>\n- The dog of the owner is called Fitzo.\n</memories>\n\n"
    assert before[1]["content"] == memories + "What is the dog of the owner called?"
    assert after[: len(before)] == before
    assert [entry["role"] for entry in after] == ["system", "user", "assistant", "user"]


def test_recalled_memories_are_kept_with_the_reply(make_runtime: Make) -> None:
    runtime = make_runtime("Fitzo.")
    memory = runtime.recall.remember("The dog is called Fitzo.")
    events = list(runtime.loop.turn("What is the dog called?"))
    recalled = next(event for event in events if isinstance(event, RecallDone)).recalled
    assert [one.memory_id for one in recalled] == [memory.id]
    assert done(events).generation.recalled == recalled
    without = list(runtime.loop.turn("What is the dog called?", use_memory=False))
    assert done(without).generation.recalled == ()


def test_the_card_stands_in_the_system_message(make_runtime: Make) -> None:
    runtime = make_runtime("Yes.")
    runtime.card.pin("brief")
    reply = done(list(runtime.loop.turn("Are you there?")))
    assert reply.generation.messages[0]["content"] == (
        f"{prompt.PERSONA}\n\nPreferences of the owner:\n- Keep replies brief."
    )
    assert reply.generation.card_lines == ("Keep replies brief.",)
    plain = done(list(runtime.loop.turn("Are you there?", use_card=False)))
    assert plain.generation.messages[0]["content"] == prompt.PERSONA


def test_a_tool_call_never_reaches_the_screen(make_runtime: Make) -> None:
    runtime = make_runtime("Let me see. " + call("calculator", expression="12 * 7"), "It is 84.")
    events = list(runtime.loop.turn("What is 12 times 7?"))
    assert said(events) == "Let me see. It is 84."
    started = next(event for event in events if isinstance(event, ToolStarted))
    finished = next(event for event in events if isinstance(event, ToolFinished))
    assert (started.name, started.arguments) == ("calculator", {"expression": "12 * 7"})
    assert (finished.result, finished.ok) == ("84", True)
    path = runtime.journal.path(done(events).message.id)
    assert [message.role for message in path] == ["user", "assistant", "tool", "assistant"]
    assert path[1].tool_calls == ({"name": "calculator", "arguments": {"expression": "12 * 7"}},)
    assert (path[2].tool_name, path[2].content) == ("calculator", "84")
    second = runtime.policy.seen[1]  # type: ignore[attr-defined]
    assert second[-1] == {"role": "tool", "name": "calculator", "content": "84"}
    assert second[-2]["tool_calls"] == list(path[1].tool_calls)


def test_remember_names_the_message_that_the_fact_came_from(make_runtime: Make) -> None:
    runtime = make_runtime(call("remember", fact="My dog is called Fitzo."), "Got it.")
    events = list(runtime.loop.turn("My dog is called Fitzo."))
    [memory] = runtime.facts.all()
    user = next(event for event in events if isinstance(event, TurnStarted)).message
    assert (memory.text, memory.source_message_id) == ("My dog is called Fitzo.", user.id)


def test_what_the_recall_tool_showed_counts_as_shown(make_runtime: Make) -> None:
    runtime = make_runtime(call("recall", query="dog"), "Fitzo.")
    memory = runtime.recall.remember("The dog is called Fitzo.")
    events = list(runtime.loop.turn("Look it up.", use_memory=None))
    assert next(event for event in events if isinstance(event, ToolFinished)).result == (
        "- The dog is called Fitzo."
    )
    assert [one.memory_id for one in done(events).generation.recalled] == [memory.id]


def test_memory_off_is_off_for_tools_too(make_runtime: Make) -> None:
    runtime = make_runtime(call("remember", fact="A secret."), "Fine.")
    events = list(runtime.loop.turn("Keep this: a secret.", use_memory=False))
    assert not next(event for event in events if isinstance(event, ToolFinished)).ok
    assert runtime.facts.count() == 0


def test_at_most_five_rounds_of_tools(make_runtime: Make) -> None:
    runtime = make_runtime("Again. " + call("calculator", expression="1+1"))
    events = list(runtime.loop.turn("Loop for ever."))
    assert sum(isinstance(event, ToolFinished) for event in events) == 5
    assert any(isinstance(event, Notice) and "5 times" in event.text for event in events)
    assert done(events).message.content == "Again."


def test_a_tool_that_is_not_allowed_is_asked_for_first(make_runtime: Make) -> None:
    runtime = make_runtime(
        call("clock"), "It is late.", call("clock"), "It is early.", tools_allowed=("calculator",)
    )
    events = list(runtime.loop.turn("What time is it?"))
    assert [event.ok for event in events if isinstance(event, ToolFinished)] == [False]
    asked = []
    runtime.ask_permission = lambda name, arguments: asked.append((name, arguments)) is None
    events = list(runtime.loop.turn("What time is it?"))
    assert asked == [("clock", {})]
    assert [event.ok for event in events if isinstance(event, ToolFinished)] == [True]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (call("telephone", number="1"), "no tool 'telephone'"),
        (call("calculator", expression="2 +"), "not arithmetic"),
        (call("calculator"), "needs 'expression'"),
    ],
)
def test_a_bad_call_is_told_to_the_model(make_runtime: Make, written: str, sentence: str) -> None:
    runtime = make_runtime(written, "I could not do that.")
    events = list(runtime.loop.turn("Do something."))
    finished = next(event for event in events if isinstance(event, ToolFinished))
    assert not finished.ok
    assert sentence in finished.result
    assert done(events).message.content == "I could not do that."


def test_markup_that_is_no_call_stays_text(make_runtime: Make) -> None:
    runtime = make_runtime("See <tool_call> not json [/ [bold]x[/bold]")
    events = list(runtime.loop.turn("What does [/ mean?"))
    assert said(events) == "See <tool_call> not json [/ [bold]x[/bold]"
    assert done(events).message.content == said(events)


def test_a_cancelled_reply_is_kept(make_runtime: Make) -> None:
    runtime = make_runtime("One two three four five.")
    cancel = threading.Event()
    events = []
    for event in runtime.loop.turn("Count.", cancel=cancel):
        events.append(event)
        if said(events) == "One two ":
            cancel.set()
    reply = done(events)
    assert reply.generation.finish_reason == "cancelled"
    assert runtime.journal.message(reply.message.id).content == "One two "
    assert not reply.message.complete


def test_what_a_failing_model_said_is_kept(make_runtime: Make) -> None:
    runtime = make_runtime(Broken("One two three", RuntimeError("boom")), "Fine.")
    events = list(runtime.loop.turn("Count."))
    assert "RuntimeError" in failed(events)
    user = next(event for event in events if isinstance(event, TurnStarted)).message
    [partial] = runtime.journal.children(user.id)
    assert (partial.content, partial.complete) == ("One two three", False)
    generation = runtime.journal.generation(partial.id)
    assert generation.finish_reason == "error"
    assert generation.prompt_text.endswith("Count.")
    assert generation.prompt_ids
    assert done(list(runtime.loop.turn("Again.", user.conversation_id))).message.content == "Fine."


@pytest.mark.parametrize("closing", [True, False])
def test_an_interrupt_keeps_what_was_said(make_runtime: Make, closing: bool) -> None:
    runtime = make_runtime("One two three." if closing else Broken("One two ", KeyboardInterrupt()), "Fine.")
    turn = runtime.loop.turn("Count.")
    heard: list = []

    def listen() -> None:
        for event in turn:
            heard.append(event)
            if closing and said(heard) == "One two ":
                turn.close()  # type: ignore[attr-defined]
                return

    if closing:
        listen()
    else:
        with pytest.raises(KeyboardInterrupt):
            listen()
    user = next(event for event in heard if isinstance(event, TurnStarted)).message
    [partial] = runtime.journal.children(user.id)
    assert partial.content == "One two "
    assert runtime.journal.generation(partial.id).finish_reason == "cancelled"
    assert done(list(runtime.loop.turn("Go on.", user.conversation_id))).message.content == "Fine."


def test_regenerate_and_edit_make_siblings(make_runtime: Make) -> None:
    runtime = make_runtime("First.", "Second.", "Third.")
    first = done(list(runtime.loop.turn("Say something.")))
    again = list(runtime.loop.regenerate(first.message.id))
    assert TurnStarted not in kinds(again)
    second = done(again)
    assert [one.content for one in runtime.journal.siblings(first.message.id)] == ["First.", "Second."]
    seen = runtime.policy.seen  # type: ignore[attr-defined]
    assert seen[0] == seen[1]
    assert runtime.pick(second.message.id, first.message.id).other_id == first.message.id
    user_id = first.message.parent_id
    third = done(list(runtime.loop.edit_user(user_id, "Say more.")))
    branch = runtime.journal.message(third.message.parent_id)
    assert (branch.content, branch.parent_id) == ("Say more.", None)
    assert branch.conversation_id == first.message.conversation_id


@pytest.mark.parametrize("text", ["", "  \n\t ", "\x00\x1b\u202e"])
def test_nothing_to_answer_is_a_sentence_at_once(make_runtime: Make, text: str) -> None:
    runtime = make_runtime("Hello.")
    with pytest.raises(AttuneError, match="nothing to answer"):
        runtime.loop.turn(text)
    assert runtime.journal.conversations() == []


def test_control_and_bidi_characters_are_taken_out(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.")
    events = list(runtime.loop.turn("Hi\x1b[31m \u202etxet\u202c\tthere\x00\nyou"))
    assert next(event for event in events if isinstance(event, TurnStarted)).message.content == (
        "Hi[31m txet\tthere\nyou"
    )
    assert any(isinstance(event, Notice) and "control characters" in event.text for event in events)


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


def test_an_unknown_conversation_is_a_sentence(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.")
    with pytest.raises(AttuneError, match="No conversation"):
        runtime.loop.turn("Hi.", "nowhere")
    with pytest.raises(AttuneError, match="No reply"):
        runtime.loop.regenerate("nothing")
