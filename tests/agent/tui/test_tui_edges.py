"""Loading, failures, odd input and news: each is one sentence, and nothing typed is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from textual import events

from agent.tui.plain import clean
from agent.tui.screens.why import WhyScreen
from agent.tui.widgets.prompt import LONGEST
from agent.tui.widgets.status import StatusLine
from memory.errors import AttuneError
from memory.forgetting.erase import forget_rating
from memory.records import Feedback
from tests.agent.tui.fake_runtime import Break, FakeRuntime, Hold
from tests.agent.tui.waiting import beside, notices, running, say, until, words


def test_the_app_imports_nothing_heavy() -> None:
    code = (
        "import sys, agent.tui.app, agent.tui.screens.chat;"
        "heavy = {'torch', 'transformers', 'chromadb', 'sentence_transformers', 'peft', 'trl', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_a_message_waits_for_the_model(tmp_path) -> None:
    runtime = FakeRuntime(tmp_path / "home", cold=True)
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await until(lambda: "loading sprout" in words(chat.query_one(StatusLine)))
        assert "wakes" in words(chat.query_one(StatusLine))
        await pilot.press(*"hello", "enter")
        await until(lambda: "waiting for the model" in words(chat.transcript))
        assert runtime.journal.conversations() == []
        runtime.may_warm.set()
        await until(lambda: chat.transcript.newest and chat.speaking is None)
        assert "waiting" not in words(chat.transcript)
        await until(lambda: "ratings until the next update" in words(chat.query_one(StatusLine)))
    runtime.close()


async def test_escape_takes_a_waiting_message_back(tmp_path) -> None:
    runtime = FakeRuntime(tmp_path / "home", cold=True)
    async with running(runtime) as pilot:
        await pilot.press(*"hello", "enter")
        await until(lambda: "waiting" in words(pilot.app.chat.transcript))
        await pilot.press("escape")
        await until(lambda: pilot.app.chat.prompt.text == "hello")
        runtime.may_warm.set()
    runtime.close()


async def test_a_model_that_cannot_load_is_one_sentence_and_another_can_be_chosen(
    runtime: FakeRuntime,
) -> None:
    runtime.wrong = "The folder /tmp/x has no chat template; choose another model with /model."
    runtime.may_warm.clear()
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        runtime.may_warm.set()
        await until(lambda: "no chat template" in notices(pilot.app))
        chat.prompt.put("/model sprout")
        await pilot.press("enter")
        await until(lambda: runtime.models == [None] and chat.warmed)
        await say(pilot, "hello")


async def test_a_second_message_waits_for_the_first_reply(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [[hold, "One", "."], ["Two."]]  # sent before the first word: it must not come between
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await pilot.press("a", "enter")
        await until(lambda: chat.speaking is not None)
        await pilot.press("b", "enter")
        await until(lambda: len(chat.transcript.messages) == 2)
        hold.until.set()
        await until(lambda: [view.text for view in chat.transcript.replies] == ["One.", "Two."])
        await until(lambda: chat.speaking is None)
        assert len(runtime.journal.path(chat.head_id)) == 4
        assert [view.text for view in chat.transcript.messages] == ["a", "One.", "b", "Two."]


async def test_markup_and_controls_are_shown_as_they_are(runtime: FakeRuntime) -> None:
    hostile = "[/] [red]x[/red] \x1b[31m \u202eevil"
    runtime.replies = [[hostile, "\n\n[/b]"]]
    async with running(runtime) as pilot:
        await say(pilot, hostile)
        text = words(pilot.app.chat.transcript)
        assert "[/] [red]x[/red]" in text
        for character in "\x1b\u202e":
            assert character not in text
        pilot.app.chat.say(hostile, "bad")
        await until(lambda: "[red]x" in notices(pilot.app))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("\ta", "\ta"),
        ("\x07\x9b", "\u00b7\u00b7"),
        ("\u2066x\u2069", "\u00b7x\u00b7"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("width", [2, 5, 7])
async def test_a_terminal_that_is_far_too_narrow_does_not_end_the_app(
    runtime: FakeRuntime, width: int
) -> None:
    async with running(runtime, (width, 24)) as pilot:
        await say(pilot, "hello")
        await pilot.press(*"hi")
        await until(lambda: pilot.app.chat.prompt.text == "hi")
        await pilot.pause()
        assert pilot.app._exception is None


async def test_an_empty_prompt_is_not_sent(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.press("space", "enter", "ctrl+j", "enter")
        await pilot.pause()
        assert pilot.app.chat.speaking is None
        assert runtime.journal.conversations() == []


async def test_a_paste_too_long_is_refused_and_a_long_one_is_taken(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        prompt = pilot.app.chat.prompt
        pilot.app.post_message(events.Paste("x" * (LONGEST + 1)))
        await until(lambda: "takes" in notices(pilot.app))
        assert prompt.text == ""
        pilot.app.post_message(events.Paste("two\r\nlines\x1b"))
        await until(lambda: prompt.text == "two\nlines")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/nonsense", "no command /nonsense"),
        ("/regen", "did you mean /regenerate"),
        ("/good", "no reply yet"),
    ],
)
async def test_a_command_that_cannot_be_done_is_one_sentence(
    runtime: FakeRuntime, line: str, said: str
) -> None:
    async with running(runtime) as pilot:
        pilot.app.chat.following.run(line)
        await until(lambda: said in notices(pilot.app))


async def test_commands_rate_with_a_reason_and_show_what_was_learned(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        chat.prompt.put("/bad too dry")
        await pilot.press("enter")
        await until(lambda: "rated bad: too dry" in words(chat.transcript.newest))
        assert chat.transcript.newest.query_one(".learned").display
        chat.prompt.put("/undo")
        await pilot.press("enter")
        await until(lambda: "+ good" in words(chat.transcript.newest))


async def test_a_rating_that_is_forgotten_is_marked_no_more_and_can_be_given_again(
    runtime: FakeRuntime,
) -> None:
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        view = chat.transcript.newest
        await pilot.press("ctrl+g")
        await until(lambda: "rated good" in words(view))
        chat.prompt.put("/Forget rating yes")
        await pilot.press("enter")
        await until(lambda: "Forgotten: 1 rating" in notices(pilot.app))
        await until(lambda: "+ good" in words(view) and not view.query_one(".learned").display)
        assert runtime.journal.feedback() == []
        await pilot.press("ctrl+g")
        await until(lambda: "rated good" in words(view))
        assert [one.value for one in runtime.journal.feedback()] == [1]


async def test_a_rating_of_a_reply_that_has_left_the_screen_is_kept_without_a_word(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, rate = threading.Event(), runtime.rate

    def slow(*given: Any) -> Feedback:
        go_on.wait(60)
        return rate(*given)

    monkeypatch.setattr(runtime, "rate", slow)
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        view = chat.transcript.newest
        await pilot.press("ctrl+g")
        await until(lambda: beside(pilot))
        await pilot.press("ctrl+n")
        await until(lambda: chat.query("#welcome"))
        go_on.set()
        await until(lambda: view.rating is not None and not beside(pilot))
        await pilot.pause()  # what went wrong would be said now
        assert notices(pilot.app) == ""
        assert view.rating == runtime.journal.effective(view.reply_id)


async def test_a_key_asks_the_journal_what_holds_and_not_the_screen(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        view = chat.transcript.newest
        await pilot.press("ctrl+g")
        await until(lambda: "rated good" in words(view))
        forget_rating(runtime.journal, view.reply_id)  # as `attune forget` does beside the screen
        await pilot.press("ctrl+g")
        await until(lambda: [one.value for one in runtime.journal.feedback()] == [1])
        runtime.rate(view.reply_id, -1)
        await pilot.press("ctrl+b")
        await until(lambda: "rated bad" in words(view))
        assert [one.value for one in runtime.journal.feedback()] == [1, -1]


async def test_commands_open_screens_start_afresh_and_quit(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        pilot.app.chat.following.run("/why")
        await until(lambda: isinstance(pilot.app.screen, WhyScreen))
        await pilot.press("escape")
        pilot.app.chat.following.run("/copy")
        await until(lambda: pilot.app.clipboard.startswith("Tea"))
        pilot.app.chat.following.run("/new")
        await until(lambda: pilot.app.chat.query("#welcome"))
        pilot.app.chat.following.run("/quit")
        await until(lambda: pilot.app._exit)


async def test_a_failed_turn_keeps_what_was_said(runtime: FakeRuntime) -> None:
    runtime.replies = [["So far ", Break("The model ran out of memory; choose a smaller one with /model.")]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await pilot.press(*"go", "enter")
        await until(lambda: "out of memory" in notices(pilot.app))
        await until(lambda: chat.speaking is None)
        assert "So far" in chat.transcript.messages[-1].text
        await say(pilot, "again")


async def test_what_was_not_journalled_returns_to_the_prompt(runtime: FakeRuntime) -> None:
    def refuse(*_, **__):
        raise AttuneError("The home is full; make room and send it again.")
        yield

    runtime.loop.turn = refuse  # type: ignore[method-assign]
    async with running(runtime) as pilot:
        await pilot.press(*"dear", "enter")
        await until(lambda: "home is full" in notices(pilot.app))
        await until(lambda: pilot.app.chat.prompt.text == "dear")


async def test_a_fault_of_ours_is_one_sentence_without_a_traceback(runtime: FakeRuntime) -> None:
    def break_down(*_, **__):
        raise ZeroDivisionError("[/oops]")

    runtime.rate = break_down  # type: ignore[method-assign]
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("ctrl+g")
        await until(lambda: "ZeroDivisionError ([/oops])" in notices(pilot.app))
        assert "Traceback" not in notices(pilot.app)


async def test_a_crash_of_the_app_prints_one_sentence(runtime: FakeRuntime, capsys) -> None:
    async def crash() -> None:
        async with running(runtime) as pilot:
            pilot.app.call_later(lambda: 1 // 0)
            await until(lambda: pilot.app._exception is not None)

    with pytest.raises(ZeroDivisionError):
        await crash()
    printed = capsys.readouterr().err
    assert "Something went wrong: ZeroDivisionError" in printed
    assert "Traceback" not in printed


async def test_leaving_stops_the_reply(runtime: FakeRuntime) -> None:
    runtime.replies = [["a", Hold(), "b"]]
    async with running(runtime) as pilot:
        await pilot.press("x", "enter")
        await until(lambda: runtime.journal.conversations())
    [conversation] = runtime.journal.conversations()
    replies = runtime.journal.replies_of(conversation.id)
    assert [runtime.journal.generation(one.id).finish_reason for one in replies] == ["cancelled"]


async def test_another_reply_that_fails_leaves_the_old_one(runtime: FakeRuntime) -> None:
    runtime.replies = [["Old."], [Break("The model is gone; choose one with /model.")]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        await pilot.press("ctrl+r")
        await until(lambda: "model is gone" in notices(pilot.app) and chat.speaking is None)
        await until(lambda: chat.transcript.newest and chat.transcript.newest.text == "Old.")
