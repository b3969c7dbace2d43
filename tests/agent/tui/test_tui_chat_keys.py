"""Every key of the chat does what the help says."""

from __future__ import annotations

import pytest
from textual import events
from textual.pilot import Pilot

from agent.tui.app import AttuneApp
from agent.tui.screens.dialogs import TextDialog
from agent.tui.screens.why import WhyScreen
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.turn import UserTurn
from tests.agent.tui.fake_runtime import FakeRuntime, Hold
from tests.agent.tui.waiting import notices, running, say, talked, until, words


def chat_of(pilot: Pilot[None]):
    app = pilot.app
    assert isinstance(app, AttuneApp)
    return app.chat


def rating(runtime: FakeRuntime, view: ReplyView) -> int:
    found = runtime.journal.effective(view.message.id)
    return found.value if found else 0


# --- the prompt ---------------------------------------------------------------------------------


async def test_enter_sends_and_the_reply_is_shown(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.press(*"tea", "enter")
        chat = chat_of(pilot)
        await until(lambda: chat.transcript.newest)
        assert chat.transcript.newest.text == "Tea is a drink made from leaves."
        assert chat.prompt.text == ""
        assert runtime.journal.recent_user_texts() == ["tea"]


async def test_keys_that_come_faster_than_they_are_handled_keep_their_order(runtime: FakeRuntime) -> None:
    """As when a busy machine reads a whole line from the terminal at once."""
    async with running(runtime) as pilot:
        for letter in "tell me about tea":
            pilot.app.post_message(events.Key("space" if letter == " " else letter, letter))
        pilot.app.post_message(events.Key("enter", "\r"))
        await until(lambda: runtime.journal.recent_user_texts())
        assert runtime.journal.recent_user_texts() == ["tell me about tea"]


@pytest.mark.parametrize("key", ["shift+enter", "ctrl+j", "alt+enter"])
async def test_a_new_line_is_not_sent(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        await pilot.press("a", key, "b")
        assert chat_of(pilot).prompt.text == "a\nb"
        assert runtime.journal.recent_user_texts() == []


async def test_up_and_down_walk_the_history_and_keep_the_draft(runtime: FakeRuntime) -> None:
    talked(runtime, "first", "second")
    async with running(runtime) as pilot:
        prompt = chat_of(pilot).prompt
        await pilot.press(*"draft", "up")
        assert prompt.text == "second"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("down", "down")
        assert prompt.text == "draft"


async def test_up_inside_several_lines_moves_the_cursor(runtime: FakeRuntime) -> None:
    talked(runtime, "first")
    async with running(runtime) as pilot:
        prompt = chat_of(pilot).prompt
        prompt.put("one\ntwo")
        await pilot.press("up")
        assert prompt.text == "one\ntwo"
        assert prompt.cursor_location[0] == 0
        await pilot.press("down")
        assert prompt.cursor_location[0] == 1


async def test_tab_completes_a_command_and_else_goes_to_the_replies(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press(*"/rege")
        await until(lambda: chat.query_one("#completions").display)
        await pilot.press("tab")
        assert chat.prompt.text == "/regenerate "
        chat.prompt.put("")
        await pilot.press("tab")
        await until(lambda: isinstance(chat.focused, ReplyView))


async def test_up_and_down_choose_in_the_completion_list_and_enter_takes(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await pilot.press(*"/m")
        completions = chat.query_one("#completions")
        await until(lambda: completions.display)
        first = completions.chosen()
        await pilot.press("down")
        second = completions.chosen()
        assert first != second
        await pilot.press("up")
        assert completions.chosen() == first
        await pilot.press("enter")
        assert chat.prompt.text == f"{first} "
        assert not completions.display


async def test_ctrl_c_copies_clears_and_leaves_at_the_second_press(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        prompt = chat_of(pilot).prompt
        prompt.put("words")
        prompt.select_all()
        await pilot.press("ctrl+c")
        assert pilot.app.clipboard == "words"
        assert prompt.text == "words"
        prompt.move_cursor((0, 0))
        await pilot.press("ctrl+c")
        await until(lambda: prompt.text == "")
        await pilot.press("ctrl+c")
        await until(lambda: "again" in str(prompt.border_title))
        assert pilot.app.is_running
        await pilot.press("ctrl+c")
        await until(lambda: pilot.app._exit)


@pytest.mark.parametrize("key", ["+", "-", "u", "r", "e", "1"])
async def test_typing_never_rates(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "hello")
        await pilot.press(key)
        await until(lambda: chat_of(pilot).prompt.text == key)
        assert runtime.journal.feedback() == []


# --- anywhere in the chat -----------------------------------------------------------------------


async def test_escape_stops_the_reply_and_keeps_it(runtime: FakeRuntime) -> None:
    runtime.replies = [["Half of it", Hold(), " and the rest."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await pilot.press(*"go", "enter")
        await until(lambda: "Half of it" in chat.transcript.query_one(ReplyView).text)
        assert "Esc stops" in str(chat.prompt.border_title)
        await pilot.press("escape")
        await until(lambda: chat.speaking is None)
        assert runtime.journal.message(chat.transcript.newest.message.id).content == "Half of it"
        assert "stopped" in words(chat.transcript.newest)


async def test_escape_goes_to_the_newest_reply_and_back(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape")
        await until(lambda: chat.focused is chat.transcript.newest)
        await pilot.press("escape")
        await until(lambda: chat.prompt.has_focus)


@pytest.mark.parametrize(("key", "value"), [("ctrl+g", 1), ("alt+up", 1), ("ctrl+b", -1), ("alt+down", -1)])
async def test_the_newest_reply_is_rated_from_the_prompt(runtime: FakeRuntime, key: str, value: int) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press(key)
        await until(lambda: rating(runtime, chat.transcript.newest) == value)
        await until(lambda: ("rated good" if value > 0 else "rated bad") in words(chat.transcript.newest))
        assert chat.prompt.has_focus


async def test_rating_without_a_reply_says_so(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.press("ctrl+g")
        await until(lambda: "no reply yet" in notices(pilot.app))


async def test_ctrl_n_starts_afresh(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("ctrl+n")
        await until(lambda: chat.query("#welcome"))
        assert chat.conversation_id is None
        await say(pilot, "again")
        assert len(runtime.journal.conversations()) == 2


async def test_ctrl_r_speaks_once_more_and_ctrl_o_says_why(runtime: FakeRuntime) -> None:
    runtime.replies = [["One."], ["Two."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("ctrl+r")
        await until(lambda: chat.transcript.newest and chat.transcript.newest.text == "Two.")
        await until(lambda: chat.speaking is None and chat.transcript.newest.place == (2, 2))
        await pilot.press("ctrl+o")
        await until(lambda: isinstance(pilot.app.screen, WhyScreen))


async def test_page_keys_scroll_while_the_prompt_keeps_the_focus(runtime: FakeRuntime) -> None:
    runtime.replies = [["line\n\n" * 40]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "long")
        await until(lambda: chat.transcript.scroll_y > 10)
        end = chat.transcript.scroll_y
        await pilot.press("pageup")
        await until(lambda: chat.transcript.scroll_y < end)
        await pilot.press("pagedown")
        await until(lambda: chat.transcript.scroll_y == end)
        assert chat.prompt.has_focus


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


# --- Ctrl+C -------------------------------------------------------------------------------------


@pytest.mark.parametrize("focus_reply", [False, True], ids=["prompt", "reply"])
async def test_ctrl_c_stops_the_reply_first(runtime: FakeRuntime, focus_reply: bool) -> None:
    runtime.replies = [["One."], ["Half of it", Hold(), " and the rest."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        chat.prompt.put("go")
        await pilot.press("enter")
        await until(lambda: "Half of it" in chat.transcript.messages[-1].text)
        if focus_reply:
            chat.transcript.newest.focus()
            await until(lambda: chat.focused is chat.transcript.newest)
        await pilot.press("ctrl+c")
        await until(lambda: chat.speaking is None)
        assert "stopped" in words(chat.transcript.newest)
        assert pilot.app.is_running
        assert not pilot.app._exit


async def test_ctrl_c_twice_leaves_from_a_reply_too(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("escape", "ctrl+c")
        await until(lambda: "again" in str(chat.prompt.border_title))
        await pilot.press("ctrl+c")
        await until(lambda: pilot.app._exit)


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
