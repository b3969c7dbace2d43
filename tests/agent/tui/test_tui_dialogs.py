"""Where a text is asked for, what is written can be seen, and only what can be seen is kept."""

from __future__ import annotations

import pytest
from textual import events

from agent.tui.screens.card import CardScreen
from agent.tui.screens.dialogs import TextDialog
from agent.tui.screens.memory import MemoryScreen
from agent.tui.screens.sessions import SessionsScreen
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import chat_of, running, say, shown, until

HEBREW = "\ufeff\u05e9\u05dc\u05d5\u05dd\u200f (ABC) ok"
BARE = "\u05e9\u05dc\u05d5\u05dd (ABC) ok"


@pytest.mark.parametrize("size", [(80, 24), (40, 15)], ids=["80x24", "40x15"])
@pytest.mark.parametrize(
    ("screen", "keys"),
    [
        (None, ("escape", "b")),
        (None, ("escape", "e")),
        (MemoryScreen, ("f2", "a")),
        (MemoryScreen, ("f2", "e")),
        (SessionsScreen, ("f4", "r")),
        (CardScreen, ("f5", "a")),
        (CardScreen, ("f5", "e")),
    ],
    ids=["bad and why", "edit", "remember", "correct", "rename", "add a line", "change a line"],
)
async def test_what_is_typed_is_in_the_picture(
    runtime: FakeRuntime, screen: type | None, keys: tuple[str, str], size: tuple[int, int]
) -> None:
    runtime.facts.remember("The dog is called Fitzo.")
    async with running(runtime, size) as pilot:
        app, chat = pilot.app, chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press(keys[0])
        await until(lambda: app.screen.chosen if screen else app.focused is chat.transcript.newest)
        await shown(pilot, TextDialog, keys[1])
        await pilot.press(*" xylophone")
        await until(lambda: "xylophone" in app.export_screenshot())
        assert "leaves" in app.export_screenshot(), "the hint says how to go"


async def test_a_paste_loses_what_cannot_be_seen(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        pilot.app.post_message(events.Paste(HEBREW + "\x1b[31m"))
        await until(lambda: chat.prompt.text == BARE + "[31m")
        chat.prompt.put("hello")
        await pilot.press("enter")
        await until(lambda: chat.transcript.newest and chat.speaking is None)
        await pilot.press("escape")
        await shown(pilot, TextDialog, "b")
        pilot.app.post_message(events.Paste(HEBREW + "\x1b"))
        await until(lambda: pilot.app.focused.text == BARE)
        await pilot.press("enter")
        await until(lambda: [one.why for one in runtime.journal.feedback()] == [BARE])


async def test_an_edit_of_a_reply_keeps_no_dots_for_what_cannot_be_seen(runtime: FakeRuntime) -> None:
    runtime.replies = [[HEBREW]]
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        assert "\u00b7" in chat_of(pilot).transcript.newest.text
        await pilot.press("escape")
        await shown(pilot, TextDialog, "e")
        assert pilot.app.focused.text == BARE
        await pilot.press("!", "ctrl+s")
        await until(lambda: [one.text for one in runtime.journal.feedback()] == [BARE + "!"])


async def test_a_message_that_is_asked_again_unchanged_is_no_branch(runtime: FakeRuntime) -> None:
    conversation = runtime.journal.start_conversation().id
    message = runtime.journal.add_user(conversation, None, HEBREW)
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await chat.open_conversation(conversation)
        await pilot.press("escape")
        await until(lambda: chat.focused is chat.transcript.messages[0])
        await shown(pilot, TextDialog, "e")
        assert pilot.app.focused.text == BARE
        await pilot.press("ctrl+s")
        await until(lambda: pilot.app.screen is chat)
        await pilot.pause()
        assert chat.speaking is None
        assert [one.id for one in runtime.journal.siblings(message.id)] == [message.id]


BURST = "it went on and on"


@pytest.mark.parametrize(
    ("screen", "keys", "save"),
    [
        (None, ("escape", "b"), "enter"),
        (None, ("escape", "e"), "ctrl+s"),
        (MemoryScreen, ("f2", "a"), "enter"),
        (MemoryScreen, ("f2", "e"), "ctrl+s"),
        (SessionsScreen, ("f4", "r"), "enter"),
        (CardScreen, ("f5", "a"), "enter"),
        (CardScreen, ("f5", "e"), "enter"),
    ],
    ids=["bad and why", "edit", "remember", "correct", "rename", "add a line", "change a line"],
)
async def test_keys_that_come_faster_than_they_are_handled_are_all_in_what_is_saved(
    runtime: FakeRuntime, screen: type | None, keys: tuple[str, str], save: str
) -> None:
    """As when a busy machine reads a whole line from the terminal at once, Enter twice at its end."""
    runtime.facts.remember("The dog is called Fitzo.")
    async with running(runtime) as pilot:
        app, chat = pilot.app, chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press(keys[0])
        await until(lambda: app.screen.chosen if screen else app.focused is chat.transcript.newest)
        below = app.screen
        await shown(pilot, TextDialog, keys[1])
        dialog, heard = app.screen, []
        dismiss = dialog.dismiss
        dialog.dismiss = lambda result: (heard.append(result), dismiss(result))[1]
        for letter in BURST:
            app.post_message(events.Key("space" if letter == " " else letter, letter))
        for _ in range(2):
            app.post_message(events.Key(save, "\r" if save == "enter" else "\x13"))
        await until(lambda: app.screen is not dialog)
        await pilot.pause()
        assert app.screen is below, "the second one takes no other screen away"
        assert [text[-len(BURST) :] for text in heard] == [BURST]
