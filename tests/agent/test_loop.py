"""One turn, from the person's words to the journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import prompt
from agent.events import (
    Event,
    Notice,
    RecallDone,
    ReplyDone,
    ReplyKept,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnStarted,
)
from agent.runtime import Runtime
from memory.errors import AttuneError
from tests.agent.scripted import Broken, call
from tests.agent.turns import Make, done, failed, kinds, said


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


@pytest.mark.parametrize(
    "written", ['<tool_call>{"name": "remember", "arguments": {"fa', " <tool_call>\nremember()\n</tool_call>"]
)
def test_a_call_that_cannot_be_read_is_told_and_stays_text(make_runtime: Make, written: str) -> None:
    runtime = make_runtime(written, "See <tool_call> for an example.", call("clock"), "It is late.")
    events = list(runtime.loop.turn("What is this?"))
    assert done(events).message.content == written
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "The model meant to use a tool, and how cannot be read; ask again, or have the reply made once more."
    ]
    for question in ("How is a tool called?", "What time is it?"):
        assert not any(isinstance(event, Notice) for event in runtime.loop.turn(question))


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
    assert kinds(events)[-2:] == [ReplyKept, TurnFailed]
    user = next(event for event in events if isinstance(event, TurnStarted)).message
    [partial] = runtime.journal.children(user.id)
    assert (partial.content, partial.complete) == ("One two three", False)
    assert events[-2] == ReplyKept(partial, runtime.journal.generation(partial.id))
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


def test_a_reply_made_again_is_not_shown_what_was_forgotten_since(make_runtime: Make) -> None:
    runtime = make_runtime("Rex.", "Who knows.")
    dog = runtime.recall.remember("The dog is called Rex.")
    cat = runtime.recall.remember("The cat is called Mia.")
    first = done(list(runtime.loop.turn("What are the dog and the cat called?")))
    assert {one.memory_id for one in first.generation.recalled} == {dog.id, cat.id}
    runtime.forget(dog.id)
    events = list(runtime.loop.regenerate(first.message.id))
    assert [one.memory_id for one in next(e for e in events if isinstance(e, RecallDone)).recalled] == [
        cat.id
    ]
    assert [one.memory_id for one in done(events).generation.recalled] == [cat.id]
    asked = done(events).generation.messages[-1]["content"]
    assert asked.startswith("<memories>\n- The cat is called Mia.\n</memories>")


def test_a_reply_made_again_with_the_memory_off_neither_sees_nor_keeps_anything(make_runtime: Make) -> None:
    with_memory = make_runtime("Rex.", "Rex, I said.")
    with_memory.recall.remember("The dog is called Rex.")
    first = done(list(with_memory.loop.turn("What is the dog called?"))).message.id
    runtime = make_runtime(call("remember", fact="The dog is old."), "Who knows.", memory=False)
    events = list(runtime.loop.regenerate(first))
    assert next(event for event in events if isinstance(event, RecallDone)).recalled == ()
    assert not next(event for event in events if isinstance(event, ToolFinished)).ok
    assert "<memories>" not in str(runtime.policy.seen)  # type: ignore[attr-defined]
    assert done(events).generation.recalled == ()
    assert [one.text for one in runtime.facts.all()] == ["The dog is called Rex."]
    again = done(list(with_memory.loop.regenerate(first))).generation
    assert again.messages[-1]["content"].startswith("<memories>\n- The dog is called Rex.\n")
    assert len(again.recalled) == 1


def forgetting(runtime: Runtime, events: Iterator[Event], forget: Callable[[], object]) -> list[Event]:
    """All events; `forget` is called once, at the first piece of the reply."""
    seen: list[Event] = []
    for event in events:
        if isinstance(event, TextDelta) and not any(isinstance(one, TextDelta) for one in seen):
            forget()
        seen.append(event)
    return seen


def test_a_memory_that_is_forgotten_while_a_reply_streams_does_not_come_back_with_it(
    make_runtime: Make, tmp_path: Path
) -> None:
    runtime = make_runtime("Your dog is called Zquirlbat.", "Well, Zquirlbat it was.", "Hello.")
    dog = runtime.recall.remember("My dog is called Zquirlbat.")
    question = "What is my dog called?"
    events = forgetting(runtime, runtime.loop.turn(question), lambda: runtime.forget(dog.id))
    reply = done(events)
    assert reply.message.content == "Your dog is called (forgotten)."
    assert [one.text for one in runtime.journal.generation(reply.message.id).recalled] == ["(forgotten)"]
    shown = runtime.journal.generation(reply.message.id).messages[-1]["content"]
    assert shown == f"<memories>\n- (forgotten)\n</memories>\n\n{question}"
    # shown in an earlier turn only, it stands in the prompt all the same
    cat = runtime.recall.remember("My cat is called Zquirlbat.")
    first = done(list(runtime.loop.turn("What is my cat called?")))
    events = forgetting(
        runtime,
        runtime.loop.turn("Go on.", first.message.conversation_id),
        lambda: runtime.forget(cat.id),
    )
    for one in (reply, first, done(events)):
        runtime.rate(one.message.id, 1)
    assert runtime.journal.ledger() == []
    runtime.close()
    files = [one for one in (tmp_path / "home").rglob("*") if one.is_file()]
    assert [one for one in files if b"zquirlbat" in one.read_bytes().lower()] == []


def test_a_document_that_is_forgotten_while_a_reply_streams_does_not_come_back_with_it(
    make_runtime: Make, tmp_path: Path
) -> None:
    runtime = make_runtime("Every second day.", "Every third day.")
    note = tmp_path / "note.md"
    note.write_text("The zquirlbat roses in the garden need water every second day.")
    runtime.documents.learn([note])
    events = forgetting(
        runtime,
        runtime.loop.turn("When do the roses in the garden need water?"),
        lambda: runtime.documents.forget(note),
    )
    kept = runtime.journal.generation(done(events).message.id)
    assert [one.text for one in kept.passages] == ["(forgotten)"]
    assert "zquirlbat" not in str(kept)
    runtime.rate(kept.reply_id, 1)
    assert runtime.journal.ledger() == []
    # what has nothing to do with it is kept as it is, and learned from
    other = runtime.recall.remember("My bicycle is green.")
    events = forgetting(runtime, runtime.loop.turn("How are you?"), lambda: runtime.forget(other.id))
    runtime.rate(done(events).message.id, 1)
    assert done(events).generation.prompt_ids
    assert len(runtime.journal.ledger()) == 1


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


def test_an_unknown_conversation_is_a_sentence(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.")
    with pytest.raises(AttuneError, match="No conversation"):
        runtime.loop.turn("Hi.", "nowhere")
    with pytest.raises(AttuneError, match="No reply"):
        runtime.loop.regenerate("nothing")
