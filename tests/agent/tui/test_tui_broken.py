"""A reply that broke off is a reply like any other: what holds on the screen is what the journal holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from agent.runtime import Runtime
from agent.tui.app import AttuneApp, settled
from tests.agent.scripted import Broken, ScriptedPolicy, scripted_runtime
from tests.agent.tui.fake_runtime import Break, FakeRuntime
from tests.agent.tui.waiting import chat_of, notices, running, say, until, words

BROKEN = Broken("Two so far ", RuntimeError("boom"))


@asynccontextmanager
async def broken_off(home: Path) -> AsyncIterator[tuple[Pilot[None], Runtime]]:
    """The real loop, after one reply and half of a second one."""
    runtime = scripted_runtime(home, ScriptedPolicy("One.", BROKEN, "Three."), memory=False, card=False)
    app = AttuneApp(runtime)
    try:
        async with app.run_test() as pilot:
            await settled(app, 60.0)
            await say(pilot, "one")
            app.chat.prompt.put("two")
            await pilot.press("enter")
            await until(lambda: "RuntimeError" in notices(app) and app.chat.speaking is None)
            yield pilot, runtime
    finally:
        runtime.close()


@pytest.mark.parametrize("keys", [("ctrl+b",), ("escape", "-")], ids=["from the prompt", "on the reply"])
async def test_the_half_reply_is_what_is_rated(tmp_path: Path, keys: tuple[str, ...]) -> None:
    async with broken_off(tmp_path / "home") as (pilot, runtime):
        chat = chat_of(pilot)
        await pilot.press(*keys)
        await until(lambda: "rated bad" in words(chat.transcript.messages[-1]))
        [rated] = runtime.journal.feedback()
        assert runtime.journal.message(rated.reply_id).content == "Two so far "
        assert "broke off" in words(chat.transcript.newest)


async def test_what_is_said_next_goes_on_from_the_half_reply(tmp_path: Path) -> None:
    async with broken_off(tmp_path / "home") as (pilot, runtime):
        chat = chat_of(pilot)
        assert chat.head_id == runtime.journal.conversation(chat.conversation_id).head_id
        await say(pilot, "two")
        policy = runtime.policy
        assert isinstance(policy, ScriptedPolicy)
        assert [one["content"] for one in policy.seen[-1]][1:] == ["one", "One.", "two", "Two so far ", "two"]


async def test_half_of_another_reply_stands_beside_the_old_one(runtime: FakeRuntime) -> None:
    runtime.replies = [["Old."], ["New so ", Break("The model is gone.")]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("ctrl+r")
        await until(lambda: "model is gone" in notices(pilot.app) and chat.speaking is None)
        newest = chat.transcript.newest
        assert (newest.text, newest.place) == ("New so ", (2, 2))
        assert chat.head_id == newest.reply_id == runtime.journal.conversation(chat.conversation_id).head_id
