"""While a reply is spoken or a message waits, nothing happens to another reply or in another conversation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.tui.screens.sessions import SessionsScreen
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.transcript import Earlier
from memory.errors import BusyHome
from tests.agent.tui.fake_runtime import Break, FakeRuntime, Hold
from tests.agent.tui.waiting import chat_of, notices, running, say, talked, until, words

SPOKEN = "still being spoken"


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[FakeRuntime]:
    """A runtime whose model is loaded when the test says so."""
    made = FakeRuntime(tmp_path / "cold", cold=True)
    yield made
    made.may_warm.set()
    made.close()


# --- a reply is spoken --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ctrl+g", "ctrl+b", "alt+up", "alt+down", "ctrl+r", "ctrl+o"])
async def test_a_key_for_the_newest_reply_does_not_take_the_one_before(
    runtime: FakeRuntime, key: str
) -> None:
    hold = Hold()
    runtime.replies = [["One."], ["Two", hold, "."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press(*"go", "enter")
        await until(lambda: "Two" in chat.transcript.messages[-1].text)
        await pilot.press(key)
        await until(lambda: SPOKEN in notices(pilot.app))
        assert pilot.app.screen is chat
        hold.until.set()
        await until(lambda: chat.speaking is None)
        assert runtime.journal.feedback() == []


@pytest.mark.parametrize(
    "line",
    ["/good", "/BAD dull", "/edit Better.", "/pick", "/copy", "/why", "/regenerate", "/forget rating yes"],
)
async def test_a_command_for_the_newest_reply_does_not_take_the_one_before(
    runtime: FakeRuntime, line: str
) -> None:
    hold = Hold()
    runtime.replies = [["One."], [hold, "Two."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        runtime.rate(chat.transcript.newest.reply_id, 1)
        await pilot.press(*"go", "enter")
        await until(lambda: chat.speaking is not None)
        chat.following.run(line)
        await until(lambda: SPOKEN in notices(pilot.app))
        assert pilot.app.screen is chat
        hold.until.set()
        await until(lambda: chat.speaking is None)
        assert [one.value for one in runtime.journal.feedback()] == [1]
        assert pilot.app.clipboard == ""


async def test_ctrl_n_stops_the_reply_and_takes_back_what_waits(runtime: FakeRuntime) -> None:
    runtime.replies = [["One", Hold(), "."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await pilot.press("a", "enter")
        await until(lambda: "One" in chat.transcript.query_one(ReplyView).text)
        await pilot.press("b", "enter")
        await until(lambda: chat.talking.waiting)
        await pilot.press("ctrl+n")
        await until(lambda: chat.speaking is None)
        assert chat.prompt.text == "b"
        assert runtime.journal.recent_user_texts() == ["a"]
        await pilot.press("ctrl+n")
        await until(lambda: chat.query("#welcome"))


async def test_what_waits_for_another_reply_that_fails_returns_to_the_prompt(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [["Old."], [hold, Break("The model is gone.")]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("ctrl+r")
        await until(lambda: chat.speaking is not None)
        await pilot.press("b", "enter")
        await until(lambda: chat.talking.waiting)
        hold.until.set()
        await until(lambda: chat.speaking is None and chat.prompt.text == "b")
        await until(lambda: [view.text for view in chat.transcript.messages] == ["hello", "Old."])
        assert "NoMatches" not in notices(pilot.app)


# --- a message waits ----------------------------------------------------------------------------


async def test_what_waits_is_not_said_into_a_conversation_that_is_opened(cold: FakeRuntime) -> None:
    old = talked(cold, "first")
    async with running(cold) as pilot:
        chat = chat_of(pilot)
        await pilot.press(*"secret", "enter")
        await until(lambda: "waiting" in words(chat.transcript))
        await pilot.press("f4")
        await until(lambda: isinstance(pilot.app.screen, SessionsScreen) and pilot.app.screen.chosen)
        pilot.app.screen.query_one("#list").focus()
        await pilot.press("enter")
        await until(lambda: chat.conversation_id == old and chat.transcript.newest)
        assert chat.prompt.text == "secret"
        cold.may_warm.set()
        await until(lambda: chat.warmed)
        assert cold.journal.recent_user_texts() == ["first"]
        await say(pilot, "second")
        assert [view.text for view in chat.transcript.messages][::2] == ["first", "second"]


async def test_what_waits_is_not_said_into_a_new_conversation(cold: FakeRuntime) -> None:
    async with running(cold) as pilot:
        chat = chat_of(pilot)
        await pilot.press(*"secret", "enter")
        await until(lambda: "waiting" in words(chat.transcript))
        await pilot.press("ctrl+n")
        await until(lambda: chat.prompt.text == "secret" and chat.query("#welcome"))
        cold.may_warm.set()
        await until(lambda: chat.warmed)
        assert cold.journal.recent_user_texts() == []
        await pilot.press("enter")
        await until(lambda: chat.transcript.newest and chat.speaking is None)
        assert chat.transcript.messages[0].text == "secret"


async def test_what_is_on_the_screen_stays_while_a_message_waits(
    cold: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.screens.chat.MOUNTED", 2)
    old = talked(cold, "one", "two")
    head = cold.journal.conversation(old).head_id
    list(cold.loop.regenerate(head))
    async with running(cold) as pilot:
        chat = chat_of(pilot)
        await chat.open_conversation(old)
        await pilot.press(*"three", "enter")
        await until(lambda: "waiting" in words(chat.transcript))
        chat.transcript.query_one(Earlier).focus()
        await pilot.press("enter")
        await until(lambda: notices(pilot.app).count("Esc takes it back") == 1)
        chat.transcript.newest.focus()
        await pilot.press("left")
        await until(lambda: notices(pilot.app).count("Esc takes it back") == 2)
        cold.may_warm.set()
        # The turn before is taken off the screen at the very end.
        await until(lambda: chat.transcript.messages[0].text == "three" and chat.query_one(Earlier))
        assert cold.journal.recent_user_texts()[0] == "three"
        assert "NoMatches" not in notices(pilot.app)


# --- the model could not be loaded --------------------------------------------------------------


async def test_a_message_that_is_sent_again_loads_the_model_again(cold: FakeRuntime) -> None:
    cold.wrong = "The model's process ended unexpectedly; send the message again, and it starts anew."
    async with running(cold) as pilot:
        chat = chat_of(pilot)
        await pilot.press(*"hello", "enter")
        await until(lambda: "waiting" in words(chat.transcript))
        cold.may_warm.set()
        await until(lambda: "send the message again" in notices(pilot.app))
        await until(lambda: chat.prompt.text == "hello")
        cold.wrong = None
        await pilot.press("enter")
        await until(lambda: chat.transcript.newest and chat.speaking is None)
        assert cold.journal.recent_user_texts() == ["hello"]


async def test_a_load_that_fails_again_says_so_again(cold: FakeRuntime) -> None:
    cold.wrong = "There is no room for the model."
    old = talked(cold, "one")
    async with running(cold) as pilot:
        chat = chat_of(pilot)
        cold.may_warm.set()
        await until(lambda: notices(pilot.app).count("no room") == 1)
        await pilot.press(*"hello", "enter")
        await until(lambda: notices(pilot.app).count("no room") == 2)
        await chat.open_conversation(old)
        await pilot.press("ctrl+r")
        await until(lambda: notices(pilot.app).count("no room") == 1)


# --- the app is left, or the conversation is deleted elsewhere ------------------------------------


async def test_what_waits_when_the_app_is_left_is_in_the_prompt_of_the_next_start(cold: FakeRuntime) -> None:
    async with running(cold) as pilot:
        chat = chat_of(pilot)
        for text in ("dear", "and more"):
            await pilot.press(*text, "enter")
        await until(lambda: len(chat.talking.waiting) == 2)
        await pilot.press("ctrl+q")
        await until(lambda: pilot.app._exit)
    cold.may_warm.set()
    async with running(cold) as pilot:
        prompt = chat_of(pilot).prompt
        await pilot.press("up")
        await until(lambda: prompt.text == "dear\n\nand more")


async def test_what_waits_behind_a_reply_is_kept_below_it(runtime: FakeRuntime) -> None:
    runtime.replies = [["One."], ["Half", Hold(), " and whole."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press(*"go", "enter")
        await until(lambda: "Half" in chat.transcript.messages[-1].text)
        await pilot.press(*"next", "enter")
        await until(lambda: chat.talking.waiting)
        conversation = chat.conversation_id
    head = runtime.journal.conversation(conversation).head_id
    said = [message.content for message in runtime.journal.path(head)]
    assert said == ["hello", "One.", "go", "Half", "next"]


async def test_nothing_is_said_for_one_who_leaves_with_an_empty_queue(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        chat_of(pilot).prompt.put("a draft")
    assert runtime.journal.recent_user_texts() == ["hello"]


async def test_a_home_that_fails_at_the_end_does_not_keep_anybody(
    cold: FakeRuntime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise BusyHome(cold.home / "attune.db")

    # what was started before in this process may have its own log file, and nothing goes further than that
    monkeypatch.setattr(logging.getLogger("attune"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="attune")
    async with running(cold) as pilot:
        await pilot.press(*"dear", "enter")
        await until(lambda: chat_of(pilot).talking.waiting)
        monkeypatch.setattr(cold.journal, "add_user", fail)
    assert "Another process kept" in caplog.text


async def test_what_could_not_be_said_returns_though_its_conversation_is_gone(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        runtime.journal.delete_conversation(chat.conversation_id)  # as another process does
        await pilot.press(*"dear", "enter")
        await until(lambda: "was deleted meanwhile" in notices(pilot.app))
        assert chat.prompt.text == "dear"
        await pilot.press("enter")
        await until(lambda: chat.speaking is None and runtime.journal.recent_user_texts() == ["dear"])
