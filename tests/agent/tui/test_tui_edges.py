"""Loading, failures, odd input and news: each is one sentence, and nothing typed is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from textual import events

from agent.learning_clock import UpdateNews
from agent.tui.app import AttuneApp
from agent.tui.latency import keypress_latencies
from agent.tui.plain import clean
from agent.tui.screens.dialogs import Confirm
from agent.tui.screens.why import WhyScreen
from agent.tui.widgets.lines import ToolLine
from agent.tui.widgets.prompt import LONGEST
from agent.tui.widgets.status import StatusLine
from memory.errors import AttuneError
from tests.agent.tui.fake_runtime import Break, Call, FakeRuntime, Hold, Say
from tests.agent.tui.waiting import notices, running, say, talked, until, words


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
    runtime.replies = [["One", hold, "."], ["Two."]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await pilot.press("a", "enter")
        await until(lambda: chat.speaking is not None)
        await pilot.press("b", "enter")
        hold.until.set()
        await until(lambda: [view.text for view in chat.transcript.replies] == ["One.", "Two."])
        await until(lambda: chat.speaking is None)
        assert len(runtime.journal.path(chat.head_id)) == 4


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
        pilot.app.post_message(events.Paste("two\nlines\x1b"))
        await until(lambda: prompt.text == "two\nlines\u00b7")


async def test_a_megabyte_message_does_not_stall_the_screen(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.app.chat.send("word " * 200_000)
        await until(lambda: pilot.app.chat.transcript.newest)
        assert "more characters" in words(pilot.app.chat.transcript)


@pytest.mark.parametrize(
    ("line", "said"),
    [("/nonsense", "no command /nonsense"), ("/rege", "did you mean /regenerate"), ("/good", "no reply yet")],
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


async def test_tools_and_notices_are_lines_and_come_back_from_the_journal(runtime: FakeRuntime) -> None:
    runtime.replies = [
        [Say("The oldest turns were left out."), Call("calculator", {"expression": "12*7"}, "84"), "84."]
    ]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "12*7?")
        assert "oldest turns" in notices(pilot.app)
        line = "calculator(12*7) \u2192 84"
        assert line in words(chat.transcript.query_one(ToolLine))
        await chat.reload()
        assert line in words(chat.transcript.query_one(ToolLine))
        assert chat.transcript.newest.text == "84."


async def test_permission_is_asked_and_given_or_refused(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        for key, expected in (("y", True), ("escape", False)):
            asking = asyncio.ensure_future(
                asyncio.to_thread(runtime.ask_permission, "shell", {"command": "[/] rm"})
            )
            await until(lambda: isinstance(pilot.app.screen, Confirm))
            await until(lambda: "shell" in words(pilot.app.screen))
            await pilot.press(key)
            assert await asking is expected


async def test_confirm_moves_between_its_buttons(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        heard: list[bool | None] = []
        pilot.app.push_screen(Confirm("Really?"), heard.append)
        await until(lambda: isinstance(pilot.app.screen, Confirm) and pilot.app.screen.query("#no"))
        await pilot.press("left", "enter")
        await until(lambda: heard == [True])


async def test_a_new_adapter_is_announced_with_its_verdict(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        runtime.news = [
            UpdateNews("progress", "step 3", 0.3),
            UpdateNews(
                "result",
                "v2 speaks now: promoted, 9 of 10 in the right order.",
                None,
                {"verdict": "promoted"},
            ),
        ]
        runtime.notices = ["Another process changed the adapter."]
        pilot.app.look_again()
        await until(lambda: "v2 speaks now: promoted" in notices(pilot.app))
        assert "F3 shows why" in notices(pilot.app)
        assert "step 3" not in notices(pilot.app)
        await until(lambda: "Another process" in notices(pilot.app))


@pytest.mark.parametrize("kind", ["failed", "rolled_back"])
async def test_news_without_a_report_points_nowhere(runtime: FakeRuntime, kind: str) -> None:
    async with running(runtime) as pilot:
        runtime.news = [UpdateNews(kind, "The update was stopped.")]
        pilot.app.look_again()
        await until(lambda: "was stopped" in notices(pilot.app))
        assert "F3" not in notices(pilot.app)


async def test_the_clock_sees_idleness_only_between_replies(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [["a", hold]]
    async with running(runtime) as pilot:
        await until(lambda: runtime.idle_seen)
        await pilot.press("x", "enter")
        await until(lambda: pilot.app.chat.speaking is not None)
        seen = len(runtime.idle_seen)
        pilot.app._looking = False
        pilot.app.look_again()
        await until(lambda: not pilot.app._looking)
        assert len(runtime.idle_seen) <= seen + 1
        hold.until.set()
        await until(lambda: pilot.app.chat.speaking is None)
        await until(lambda: len(runtime.idle_seen) > seen)
        assert runtime.idle_seen[-1] < 5


async def test_old_messages_are_a_click_away(runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tui.screens.chat.MOUNTED", 4)
    conversation = talked(runtime, "one", "two", "three", "four")
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await chat.open_conversation(conversation)
        assert chat.transcript.messages[0].text == "three"
        assert "4 earlier messages" in words(chat.transcript)
        await say(pilot, "five")
        await until(lambda: "6 earlier messages" in words(chat.transcript))
        chat.transcript.query_one("Earlier").focus()
        await pilot.press("enter")
        await until(lambda: len(chat.transcript.messages) == 10)


async def test_leaving_stops_the_reply(runtime: FakeRuntime) -> None:
    runtime.replies = [["a", Hold(), "b"]]
    async with running(runtime) as pilot:
        await pilot.press("x", "enter")
        await until(lambda: runtime.journal.conversations())
    [conversation] = runtime.journal.conversations()
    replies = runtime.journal.replies_of(conversation.id)
    assert [runtime.journal.generation(one.id).finish_reason for one in replies] == ["cancelled"]


async def test_keypress_latency_is_measured_while_a_reply_streams(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [["word " * 50, hold, " end."]]
    async with running(runtime) as pilot:
        app: AttuneApp = pilot.app
        app.chat.prompt.put("kept")
        await app.chat.send("go")
        await until(lambda: app.chat.speaking is not None)
        measured = await keypress_latencies(app, 8, pause=0.0)
        assert len(measured) == 8
        assert all(0 < each < 5000 for each in measured)
        assert app.chat.prompt.text == "kept"
        hold.until.set()
        await until(lambda: app.chat.speaking is None)


async def test_drawing_waits_for_a_gap_between_keys(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.talking.TYPING_GAP", 60.0)
    monkeypatch.setattr("agent.tui.talking.LONGEST_WAIT", 60.0)
    first, last = Hold(), Hold()
    runtime.replies = [["One", first, " two", last, " three."]]
    async with running(runtime) as pilot:
        app: AttuneApp = pilot.app
        await app.chat.send("go")
        app.touched = 0.0
        await until(lambda: app.chat.transcript.messages[-1].text == "One")
        await pilot.press("a")
        first.until.set()
        await keypress_latencies(app, 20)
        assert app.chat.transcript.messages[-1].text == "One"
        app.touched = 0.0  # the person stops typing
        await until(lambda: app.chat.transcript.messages[-1].text == "One two")
        last.until.set()
        await until(lambda: app.chat.speaking is None)


async def test_a_growing_list_is_plain_until_it_ends(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [["Kinds:\n\n- **green**\n- black", hold, "\n\nThat is all."]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await chat.send("tea?")
        await until(lambda: "- **green**\n- black" in words(chat.transcript.query_one(".open")))
        assert not chat.transcript.query("MarkdownList")
        hold.until.set()
        await until(lambda: chat.speaking is None)
        assert chat.transcript.query("MarkdownBulletList")
        assert not chat.transcript.query_one(".open").display
        assert chat.transcript.newest.text == "Kinds:\n\n- **green**\n- black\n\nThat is all."


async def test_another_reply_that_fails_leaves_the_old_one(runtime: FakeRuntime) -> None:
    runtime.replies = [["Old."], [Break("The model is gone; choose one with /model.")]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        await pilot.press("ctrl+r")
        await until(lambda: "model is gone" in notices(pilot.app) and chat.speaking is None)
        await until(lambda: chat.transcript.newest and chat.transcript.newest.text == "Old.")
