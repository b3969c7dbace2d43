"""The screen stays quick: long conversations, long replies, many keys."""

from __future__ import annotations

import pytest

from agent.tui.app import AttuneApp
from agent.tui.latency import keypress_latencies
from tests.agent.tui.fake_runtime import FakeRuntime, Hold
from tests.agent.tui.waiting import running, say, talked, until, words


async def test_a_megabyte_message_does_not_stall_the_screen(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.app.chat.send("word " * 200_000)
        await until(lambda: pilot.app.chat.transcript.newest)
        assert "more characters" in words(pilot.app.chat.transcript)


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
