"""What the runtime tells beside a reply: tools, permission, notices, verdicts."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from agent.learning_clock import UpdateNews
from agent.tui.screens.dialogs import Confirm
from agent.tui.widgets.lines import ToolLine
from tests.agent.tui.fake_runtime import Call, FakeRuntime, Hold, Say
from tests.agent.tui.waiting import notices, running, say, until, words


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


async def test_permission_is_asked_and_given_or_refused(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.app.CALM_SECONDS", 0.0)
    async with running(runtime) as pilot:
        for key, expected in (("y", True), ("escape", False)):
            asking = asyncio.ensure_future(
                asyncio.to_thread(runtime.ask_permission, "shell", {"command": "[/] rm"})
            )
            await until(lambda: isinstance(pilot.app.screen, Confirm))
            await until(lambda: "shell" in words(pilot.app.screen))
            await pilot.press(key)
            assert await asking is expected


async def test_a_question_waits_until_nobody_types_and_takes_no_typing_at_first(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.app.CALM_SECONDS", 3600.0)
    async with running(runtime) as pilot:
        app = pilot.app
        app.typed = time.monotonic()
        asking = asyncio.ensure_future(asyncio.to_thread(runtime.ask_permission, "shell", {}))
        await pilot.press(*"many ")
        await until(lambda: app.chat.prompt.text == "many ")
        assert app.screen is app.chat
        app.typed -= 3600.0  # the person stops to think
        question = await until(lambda: app.screen if isinstance(app.screen, Confirm) else None)
        await until(lambda: question.query("#no") and question.shown < math.inf)
        await pilot.press(*"yes", "enter", "left", "enter", "n", "f1")
        await pilot.pause()
        assert app.screen is question
        question.shown -= 3600.0  # and has read it
        await pilot.press("y")
        assert await asking is True


async def test_a_question_can_be_refused_at_once(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.app.CALM_SECONDS", 3600.0)
    async with running(runtime) as pilot:
        pilot.app.typed -= 3600.0
        asking = asyncio.ensure_future(asyncio.to_thread(runtime.ask_permission, "shell", {}))
        await until(lambda: isinstance(pilot.app.screen, Confirm) and pilot.app.screen.query("#no"))
        await pilot.press("escape")
        assert await asking is False


async def test_a_stopped_turn_asks_nothing_any_more(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.app.CALM_SECONDS", 3600.0)
    async with running(runtime) as pilot:
        asking = asyncio.ensure_future(asyncio.to_thread(runtime.ask_permission, "shell", {}))
        pilot.app.typed = time.monotonic()
        await pilot.app.chat.talking.stop()
        assert await asking is False
        assert pilot.app.screen is pilot.app.chat


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
