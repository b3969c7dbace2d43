"""Every key on a focused message does what the help says."""

from __future__ import annotations

import pytest

from agent.tui.screens.dialogs import TextDialog
from agent.tui.screens.why import WhyScreen
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.turn import UserTurn
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import chat_of, notices, rating, running, say, until, words

# --- on a reply ---------------------------------------------------------------------------------


async def test_plus_minus_and_undo_on_the_focused_reply(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "+")
        view = chat.transcript.newest
        await until(lambda: rating(runtime, view) == 1)
        await until(lambda: "u undo" in words(view))
        await pilot.press("-")
        await until(lambda: rating(runtime, view) == -1)
        await until(lambda: "rated bad" in words(view))
        await pilot.press("u")
        await until(lambda: rating(runtime, view) == 0)
        await until(lambda: "+ good" in words(view))
        assert [event.value for event in runtime.journal.feedback()] == [1, -1, 0]
        await pilot.press("u")
        await until(lambda: "no rating to undo" in notices(pilot.app))
        assert len(runtime.journal.feedback()) == 3


async def test_equals_is_plus_without_shift(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("escape", "=")
        await until(lambda: rating(runtime, chat_of(pilot).transcript.newest) == 1)


async def test_b_asks_why_it_is_bad(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "b")
        await until(lambda: isinstance(pilot.app.screen, TextDialog))
        await pilot.press(*"dull", "enter")
        await until(lambda: runtime.journal.feedback())
        event = runtime.journal.feedback()[-1]
        assert (event.value, event.why) == (-1, "dull")
        await until(lambda: "rated bad: dull" in words(chat.transcript.newest))


async def test_r_then_left_right_and_pick(runtime: FakeRuntime) -> None:
    runtime.replies = [["One."], ["Two."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "r")
        await until(lambda: chat.speaking is None and chat.transcript.newest.text == "Two.")
        assert "2/2" in words(chat.transcript.newest)
        assert "p picks this one" in words(chat.transcript.newest)
        for key, text, place in (
            ("left", "One.", "1/2"),
            ("right", "Two.", "2/2"),
            ("h", "One.", "1/2"),
            ("l", "Two.", "2/2"),
        ):
            chat.transcript.newest.focus()
            await pilot.press(key)
            await until(lambda: chat.transcript.newest.text == text)  # noqa: B023
            assert place in words(chat.transcript.newest)
        await until(lambda: chat.focused is chat.transcript.newest)
        await pilot.press("p")
        await until(lambda: runtime.journal.feedback())
        event = runtime.journal.feedback()[-1]
        assert runtime.journal.message(event.reply_id).content == "Two."
        assert runtime.journal.message(event.other_id).content == "One."
        await until(lambda: "picked" in words(chat.transcript.newest))


async def test_a_reply_can_be_picked_again_after_its_sibling_was(runtime: FakeRuntime) -> None:
    runtime.replies = [["One."], ["Two."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "r")
        await until(lambda: chat.speaking is None and chat.transcript.newest.text == "Two.")
        picked: list[str] = []
        for key, text in ((None, "Two."), ("left", "One."), ("right", "Two.")):
            chat.transcript.newest.focus()
            await pilot.press(*([key] if key else []))
            await until(lambda: chat.transcript.newest.text == text)  # noqa: B023
            await until(lambda: chat.focused is chat.transcript.newest)
            picked.append(text)
            await pilot.press("p")
            await until(lambda: len(runtime.journal.feedback()) == len(picked))
        journal = runtime.journal
        assert [journal.message(event.reply_id).content for event in journal.feedback()] == picked
        await pilot.press("p")
        await until(lambda: "already picked" in notices(pilot.app))
        assert len(journal.feedback()) == 3


async def test_pick_of_a_lone_reply_says_what_to_do(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("escape", "p")
        await until(lambda: "press r" in notices(pilot.app))


async def test_c_copies_and_e_edits_a_reply(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("escape", "c")
        await until(lambda: pilot.app.clipboard.startswith("Tea is"))
        await pilot.press("e")
        await until(lambda: isinstance(pilot.app.screen, TextDialog))
        await pilot.press(*" Hot", "ctrl+s")
        await until(lambda: runtime.journal.feedback())
        event = runtime.journal.feedback()[-1]
        assert (event.kind, event.text) == ("edit", "Tea is a drink made from leaves. Hot")


async def test_escape_leaves_an_edit_alone(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("escape", "e")
        await until(lambda: isinstance(pilot.app.screen, TextDialog))
        await pilot.press(*"x", "escape")
        await until(lambda: pilot.app.screen is pilot.app.chat)
        assert runtime.journal.feedback() == []


@pytest.mark.parametrize("key", ["w", "?"])
async def test_why_of_the_focused_reply(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("escape", key)
        await until(lambda: isinstance(pilot.app.screen, WhyScreen))


@pytest.mark.parametrize("key", ["enter", "i"])
async def test_back_to_the_prompt(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", key)
        await until(lambda: chat.prompt.has_focus)
        assert chat.prompt.text == ""


async def test_up_and_down_go_from_message_to_message(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "up")
        await until(lambda: isinstance(chat.focused, UserTurn))
        await pilot.press("j")
        await until(lambda: isinstance(chat.focused, ReplyView))
        await pilot.press("k")
        await until(lambda: isinstance(chat.focused, UserTurn))
        await pilot.press("down", "down")
        await until(lambda: chat.prompt.has_focus)


# --- on one's own message -----------------------------------------------------------------------


async def test_e_on_a_message_asks_again_in_a_branch(runtime: FakeRuntime) -> None:
    runtime.replies = [["About tea."], ["About teas."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "tea")
        await pilot.press("escape", "up", "e")
        await until(lambda: isinstance(pilot.app.screen, TextDialog))
        await pilot.press("s", "ctrl+s")
        await until(lambda: chat.speaking is None and chat.transcript.newest.text == "About teas.")
        turn = chat.transcript.messages[0]
        assert (turn.text, turn.place) == ("teas", (2, 2))
        for key, said in (("left", "tea"), ("right", "teas"), ("h", "tea"), ("l", "teas")):
            chat.transcript.messages[0].focus()
            await pilot.press(key)
            await until(lambda: chat.transcript.newest.text == f"About {said}.")  # noqa: B023


@pytest.mark.parametrize("key", ["enter", "i"])
async def test_back_to_the_prompt_from_a_message(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "up")
        await until(lambda: isinstance(chat.focused, UserTurn))
        await pilot.press(key)
        await until(lambda: chat.prompt.has_focus)


@pytest.mark.parametrize("key", ["up", "k"])
async def test_from_a_message_to_the_one_above(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "one")
        await say(pilot, "two")
        first, reply, second, _ = chat.transcript.messages
        second.focus()
        await pilot.press(key)
        await until(lambda: chat.focused is reply)
        await pilot.press(key)
        await until(lambda: chat.focused is first)
        await pilot.press(key)
        await pilot.pause()
        assert chat.focused is first


async def test_c_on_a_message_copies_it(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press("escape", "up", "c")
        await until(lambda: pilot.app.clipboard == "hello")


# --- the mouse ----------------------------------------------------------------------------------


async def test_every_mark_can_be_clicked(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        view = chat.transcript.newest
        await pilot.pause()  # laid out, so that there is a place to click
        await until(lambda: view.query_one(".good").region)
        await pilot.click(view.query_one(".good"))
        await until(lambda: rating(runtime, view) == 1)
        await until(lambda: view.query_one(".undo").display)
        await pilot.pause()
        await pilot.click(view.query_one(".undo"))
        await until(lambda: rating(runtime, view) == 0)
        await until(lambda: view.query_one(".bad").display)
        await pilot.pause()
        await pilot.click(view.query_one(".bad"))
        await until(lambda: rating(runtime, view) == -1)
