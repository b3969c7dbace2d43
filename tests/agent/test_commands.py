"""Slash commands, without a screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import commands
from agent.commands import CommandContext
from agent.events import ReplyDone
from agent.forget import forget
from agent.runtime import Runtime
from memory.errors import AttuneError
from tests.agent.scripted import call

Make = Callable[..., Runtime]


@pytest.fixture
def runtime(make_runtime: Make) -> Runtime:
    return make_runtime("First.", "Second.")


def talk(runtime: Runtime) -> tuple[CommandContext, str]:
    done = next(event for event in runtime.loop.turn("Hello.") if isinstance(event, ReplyDone))
    return CommandContext(conversation_id=done.message.conversation_id), done.message.id


def test_completion() -> None:
    assert [name for name, _ in commands.completions("/me")] == ["/memory"]
    everything = commands.completions("/")
    assert len(everything) == len(commands.COMMANDS)
    assert all(text for _, text in everything)
    assert commands.completions("/zzz") == []


@pytest.mark.parametrize(
    ("line", "hint"), [("/hlep", "/help"), ("/regen", "/regenerate"), ("/xyzzy", "/help lists")]
)
def test_an_unknown_command_names_the_closest(runtime: Runtime, line: str, hint: str) -> None:
    with pytest.raises(AttuneError, match=hint):
        commands.run(runtime, line, CommandContext())


def test_help_lists_all(runtime: Runtime) -> None:
    text = commands.run(runtime, "/help", CommandContext()).text
    assert all(command.name in text for command in commands.COMMANDS)


@pytest.mark.parametrize("line", ["/good", "/why", "/copy", "/regenerate", "/pick", "/undo", "/edit Better."])
def test_without_a_reply_there_is_a_sentence(runtime: Runtime, line: str) -> None:
    with pytest.raises(AttuneError):
        commands.run(runtime, line, CommandContext())


def test_ratings(runtime: Runtime) -> None:
    context, reply = talk(runtime)
    result = commands.run(runtime, "/bad far too long", context)
    assert (result.action, result.argument) == ("rated", reply)
    feedback = runtime.journal.effective(reply)
    assert feedback is not None
    assert (feedback.value, feedback.why) == (-1, "far too long")
    commands.run(runtime, "/bad", context)
    again = runtime.journal.effective(reply)
    assert again == feedback, "the same thumb once more takes the reason back"
    commands.run(runtime, "/undo", context)
    assert runtime.journal.effective(reply) is None
    with pytest.raises(AttuneError, match="no rating to take back"):
        commands.run(runtime, "/undo", context)
    commands.run(runtime, "/good", CommandContext(reply_id=reply))
    assert runtime.journal.effective(reply).value == 1  # type: ignore[union-attr]


def test_regenerate_pick_edit_copy(runtime: Runtime) -> None:
    context, first = talk(runtime)
    assert commands.run(runtime, "/regenerate", context).argument == first
    with pytest.raises(AttuneError, match="only one reply"):
        commands.run(runtime, "/pick", context)
    list(runtime.loop.regenerate(first))
    picked = commands.run(runtime, "/pick", context)
    assert picked.argument != first
    assert runtime.journal.feedback(picked.argument)[0].other_id == first
    assert commands.run(runtime, "/copy", context).argument == "Second."
    commands.run(runtime, "/edit A better one.", context)
    assert runtime.journal.feedback(picked.argument)[-1].text == "A better one."


def test_card_memory_policy_model(runtime: Runtime) -> None:
    nowhere = CommandContext()
    assert "empty" in commands.run(runtime, "/card", nowhere).text
    commands.run(runtime, "/card pin brief", nowhere)
    assert "+ Keep replies brief." in commands.run(runtime, "/card", nowhere).text
    commands.run(runtime, "/card strike brief", nowhere)
    reset = commands.run(runtime, "/card reset brief", nowhere)
    assert reset.text == "That line follows your ratings again."
    assert runtime.card.active_lines() == []
    commands.run(runtime, "/card pin Answer in French.", nowhere)
    reset = commands.run(runtime, "/card reset answer in french.", nowhere)
    assert reset.text == "Your line is deleted: Answer in French."
    assert runtime.card.active_lines() == []
    runtime.recall.remember("The dog is called Fitzo.")
    assert "Fitzo" in commands.run(runtime, "/memory dog", nowhere).text
    assert commands.run(runtime, "/memory", nowhere).action == "memory"
    assert "no adapter yet" in commands.run(runtime, "/policy", nowhere).text
    with pytest.raises(AttuneError, match="no adapter"):
        commands.run(runtime, "/policy use v7", nowhere)
    assert "scripted speaks" in commands.run(runtime, "/model", nowhere).text
    result = commands.run(runtime, "/model sprout", nowhere)
    assert (result.action, result.argument) == ("model", "")
    with pytest.raises(AttuneError, match="/train kto"):
        commands.run(runtime, "/train rlhf", nowhere)
    assert "No update" in commands.run(runtime, "/train cancel", nowhere).text


def test_training_on_nothing_says_so_before_anything_starts(runtime: Runtime) -> None:
    talk(runtime)
    with pytest.raises(AttuneError, match="Nothing has been rated yet: rate a few replies up and down"):
        commands.run(runtime, "/train", CommandContext())
    assert not runtime.clock.updating


def test_export(runtime: Runtime, tmp_path: Path) -> None:
    talk(runtime)
    commands.run(runtime, f"/export {tmp_path / 'talk.md'}", CommandContext())
    assert "First." in (tmp_path / "talk.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", ["/new", "/sessions", "/quit", "/exit"])
def test_what_only_a_face_can_do(runtime: Runtime, line: str) -> None:
    assert commands.run(runtime, line, CommandContext()).action in ("new", "sessions", "quit")


def test_undo_goes_back_through_the_thumbs_of_this_conversation(runtime: Runtime) -> None:
    context, first = talk(runtime)
    [second] = [
        event.message.id
        for event in runtime.loop.turn("More.", context.conversation_id)
        if isinstance(event, ReplyDone)
    ]
    _, elsewhere = talk(runtime)
    runtime.rate(first, 1)
    runtime.rate(second, -1)
    runtime.rate(elsewhere, 1)
    focused = CommandContext(context.conversation_id, first)
    undone = [commands.run(runtime, "/undo", focused) for _ in range(2)]
    assert [(one.text, one.argument) for one in undone] == [
        ("Taken back: the thumb down on \u201cSecond.\u201d", second),
        ("Taken back: the thumb up on \u201cFirst.\u201d", first),
    ]
    with pytest.raises(AttuneError, match="no rating to take back"):
        commands.run(runtime, "/undo", context)
    with pytest.raises(AttuneError, match="Open the conversation first"):
        commands.run(runtime, "/undo", CommandContext())
    assert runtime.journal.effective(elsewhere) is not None


def test_undo_names_a_long_reply_by_its_beginning(make_runtime: Make) -> None:
    runtime = make_runtime("One\n\n- two " + "three " * 20)
    context, reply = talk(runtime)
    runtime.rate(reply, 1)
    [cited] = re.findall("\u201c(.*)\u201d$", commands.run(runtime, "/undo", context).text)
    assert cited == "One - two three three three three three three thr\u2026"
    assert len(cited) == 50


def test_undo_leaves_an_edit_or_a_pick_alone_and_says_how_it_goes(make_runtime: Make) -> None:
    runtime = make_runtime("First.", "Second.")
    context, first = talk(runtime)
    runtime.rate(first, -1)
    runtime.edit_reply(first, "Better.")
    with pytest.raises(AttuneError, match=r"your edit of .First\..*; /forget rating forgets it"):
        commands.run(runtime, "/undo", context)
    assert runtime.journal.effective(first).value == -1  # type: ignore[union-attr]
    list(runtime.loop.regenerate(first))
    second = commands.run(runtime, "/pick", context).argument
    elsewhere = CommandContext(context.conversation_id, first)
    with pytest.raises(AttuneError, match=rf"the pick of .Second\..*`attune forget rating {second}`"):
        commands.run(runtime, "/undo", elsewhere)
    assert len(runtime.journal.signals()) == 3
    # what the sentence names takes it back, and then the one of before is the newest
    commands.run(runtime, "/forget rating yes", context)
    assert [event.kind for event, _ in runtime.journal.signals()] == ["thumb", "edit"]
    commands.run(runtime, "/forget rating yes", elsewhere)
    assert runtime.journal.signals() == []


def test_what_undo_names_for_the_pick_of_an_answer_that_used_tools_forgets_it(
    make_runtime: Make,
) -> None:
    runtime = make_runtime("Guess: 85.", call("calculator", expression="12 * 7"), "It is 84.")
    context, guess = talk(runtime)
    list(runtime.loop.regenerate(guess))
    commands.run(runtime, "/pick", context)
    with pytest.raises(AttuneError, match="the pick of a reply without words") as refused:
        commands.run(runtime, "/undo", context)
    [named] = re.findall("`attune forget rating (.*)`", str(refused.value))
    forget(runtime, "rating", named)
    assert runtime.journal.signals() == []


def test_a_pick_is_written_once_until_it_changes(runtime: Runtime) -> None:
    context, first = talk(runtime)
    list(runtime.loop.regenerate(first))
    second = commands.run(runtime, "/pick", context).argument
    commands.run(runtime, "/pick", context)
    assert len(runtime.journal.feedback()) == 1
    commands.run(runtime, "/pick", CommandContext(reply_id=first))
    commands.run(runtime, "/pick", CommandContext(reply_id=second))
    assert [one.reply_id for one in runtime.journal.feedback()] == [second, first, second]


def test_an_answer_that_used_tools_can_be_picked(make_runtime: Make) -> None:
    runtime = make_runtime("Guess: 85.", call("calculator", expression="12 * 7"), "It is 84.")
    context, guess = talk(runtime)
    [worked_out] = [
        event.message.id for event in runtime.loop.regenerate(guess) if isinstance(event, ReplyDone)
    ]
    assert commands.run(runtime, "/pick", context).argument == worked_out
    [pick] = runtime.journal.feedback()
    asking = runtime.journal.path(worked_out)[1]
    assert (pick.reply_id, pick.other_id) == (asking.id, guess)
    assert asking.tool_calls
