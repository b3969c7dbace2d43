"""Which conversation is open, and what happens when the journal cannot be read or what was open is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.tui.screens.dialogs import TextDialog
from agent.tui.screens.sessions import SessionsScreen
from agent.tui.widgets.status import StatusLine
from agent.tui.widgets.transcript import Earlier
from memory.errors import BusyHome, DatabaseError
from tests.agent.tui.fake_runtime import FakeRuntime, Hold
from tests.agent.tui.waiting import notices, running, say, talked, until, words


def failing(runtime: FakeRuntime) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise BusyHome(runtime.home / "attune.db")

    return fail


async def test_what_is_being_said_first_cannot_be_deleted(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [["Half", hold, " and whole."]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await pilot.press(*"go", "enter")
        await until(lambda: chat.conversation_id)
        assert chat.speaking is not None
        await pilot.press("f4")
        await until(lambda: isinstance(pilot.app.screen, SessionsScreen) and pilot.app.screen.chosen)
        await pilot.press("d")
        await until(lambda: any("is open" in note.message for note in pilot.app._notifications))
        hold.until.set()
        await pilot.press("escape")
        await until(lambda: chat.speaking is None)
        assert chat.transcript.newest.text == "Half and whole."


async def test_a_conversation_that_is_deleted_elsewhere_while_it_is_spoken(runtime: FakeRuntime) -> None:
    hold = Hold()
    runtime.replies = [["Half", hold, " and whole."]]
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await pilot.press(*"go", "enter")
        gone = await until(lambda: chat.conversation_id)
        runtime.journal.delete_conversation(gone)
        hold.until.set()
        await until(lambda: "was deleted meanwhile" in notices(pilot.app))
        await until(lambda: chat.conversation_id is None)
        await say(pilot, "afresh")
        assert [one.title for one in runtime.journal.conversations()] == ["afresh"]


async def test_a_busy_home_at_the_start_is_one_sentence(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.journal, "recent_user_texts", failing(runtime))
    monkeypatch.setattr(runtime.journal, "conversations", failing(runtime))
    async with running(runtime) as pilot:
        await until(lambda: notices(pilot.app).count("Another process kept") == 2)
        monkeypatch.undo()
        await say(pilot, "hello")


async def test_a_busy_home_at_a_new_conversation_is_one_sentence(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        monkeypatch.setattr(runtime.journal, "conversations", failing(runtime))
        await pilot.press("ctrl+n")
        await until(lambda: "Another process kept" in notices(pilot.app))
        assert pilot.app.chat.conversation_id is None
        assert pilot.app.is_running


async def test_a_busy_home_at_the_end_of_a_turn_is_one_sentence(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = Hold()
    runtime.replies = [["One", hold, "."]]
    async with running(runtime) as pilot:
        await pilot.press(*"go", "enter")
        await until(lambda: pilot.app.chat.conversation_id)
        monkeypatch.setattr(pilot.app.chat, "retitle", failing(runtime))
        hold.until.set()
        await until(lambda: "Another process kept" in notices(pilot.app))
        monkeypatch.undo()
        await say(pilot, "and then")


async def test_earlier_messages_and_siblings_that_cannot_be_read_are_one_sentence(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tui.screens.chat.MOUNTED", 2)
    runtime.replies = [["One."], ["Two."], ["Three."]]
    conversation = talked(runtime, "one", "two")
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await chat.open_conversation(conversation)
        await pilot.press("ctrl+r")
        await until(lambda: chat.speaking is None and chat.transcript.newest.text == "Three.")

        def fail(*_: Any) -> Any:
            raise DatabaseError("The disk is gone.")

        monkeypatch.setattr(runtime.journal, "path", fail)
        chat.transcript.query_one(Earlier).focus()
        await pilot.press("enter")
        await until(lambda: "The disk is gone." in notices(pilot.app))
        monkeypatch.setattr(runtime.journal, "siblings", failing(runtime))
        chat.transcript.newest.focus()
        await pilot.press("left")
        await until(lambda: "Another process kept" in notices(pilot.app))
        monkeypatch.undo()
        chat.prompt.focus()
        await say(pilot, "still here")


async def test_the_context_on_the_status_line_is_that_of_what_is_open(runtime: FakeRuntime) -> None:
    conversation = talked(runtime, "one")
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        line = chat.query_one(StatusLine)
        await until(lambda: "0/1,024 tokens" in words(line))
        await chat.open_conversation(conversation)
        await until(lambda: "47/1,024 tokens" in words(line))  # 38 of its prompt and 9 of its own
        await pilot.press("ctrl+n")
        await until(lambda: "\u00b7  0/1,024 tokens" in words(line))


async def test_the_list_says_how_many_replies_a_conversation_has(runtime: FakeRuntime) -> None:
    talked(runtime, "one", "two")
    async with running(runtime) as pilot:
        await pilot.press("f4")
        await until(lambda: "2 replies" in words(pilot.app.screen))


@pytest.mark.parametrize(
    "keys",
    [
        ("ctrl+g",),
        ("ctrl+r",),
        ("escape", "-"),
        ("escape", "p"),
        ("escape", "e"),
        (*"/bad dull", "enter"),
        (*"/edit Mine.", "enter"),
        (*"/regenerate", "enter"),
        (*"/forget rating yes", "enter"),
    ],
    ids=" ".join,
)
async def test_a_reply_that_was_forgotten_elsewhere_says_so(
    runtime: FakeRuntime, keys: tuple[str, ...]
) -> None:
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await say(pilot, "hello")
        runtime.journal.delete_conversation(chat.conversation_id)  # as `attune forget` does beside the screen
        await pilot.press(*keys)
        if keys[-1] == "e":
            await until(lambda: isinstance(pilot.app.screen, TextDialog))
            await pilot.press("!", "ctrl+s")
        await until(lambda: "This reply was forgotten meanwhile" in notices(pilot.app))
        assert "--json" not in notices(pilot.app)
        assert [view.text for view in chat.transcript.messages] == [
            "hello",
            "Tea is a drink made from leaves.",
        ]


async def test_why_of_a_reply_that_was_forgotten_elsewhere_says_so(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        runtime.journal.delete_conversation(pilot.app.chat.conversation_id)
        await pilot.press("ctrl+o")
        await until(lambda: "it was forgotten meanwhile" in words(pilot.app.screen))
        assert "--json" not in words(pilot.app.screen)


async def test_a_message_whose_branches_were_forgotten_elsewhere_says_so(runtime: FakeRuntime) -> None:
    conversation = talked(runtime, "one")
    list(runtime.loop.turn("another", conversation))
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await chat.open_conversation(conversation)
        chat.transcript.messages[0].focus()
        runtime.journal.delete_conversation(conversation)
        await pilot.press("left")
        await until(lambda: "This message was forgotten meanwhile" in notices(pilot.app))
