"""Every key of the chat does what the help says."""

from __future__ import annotations

import pytest
from textual import events
from textual.geometry import Offset
from textual.selection import Selection

from agent.tui.screens.why import WhyScreen
from agent.tui.widgets.markdown import ReplyText
from agent.tui.widgets.reply import ReplyView
from tests.agent.tui.fake_runtime import FakeRuntime, Hold
from tests.agent.tui.waiting import chat_of, notices, rating, running, say, talked, until, words

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


async def test_a_burst_is_not_completed_by_a_list_that_lags_behind(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        for letter in "/frobnicate":
            pilot.app.post_message(events.Key(letter, letter))
        pilot.app.post_message(events.Key("enter", "\r"))
        chat = chat_of(pilot)
        await until(lambda: chat.prompt.text == "" and chat.prompt.earlier)
        assert chat.prompt.earlier == ["/frobnicate"]


@pytest.mark.parametrize("key", ["shift+enter", "ctrl+j", "alt+enter"])
async def test_a_new_line_is_not_sent(runtime: FakeRuntime, key: str) -> None:
    async with running(runtime) as pilot:
        await pilot.press("a", key, "b")
        assert chat_of(pilot).prompt.text == "a\nb"
        assert runtime.journal.recent_user_texts() == []


async def test_a_command_below_an_empty_line_is_completed_and_carried_out(runtime: FakeRuntime) -> None:
    """An Enter that was typed before the screen was up arrives as a new line."""
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await pilot.press("ctrl+j", *"/rege")
        await until(lambda: chat.query_one("#completions").display)
        await pilot.press("tab")
        assert chat.prompt.text == "/regenerate "
        chat.prompt.put("\n/frobnicate\n")
        await pilot.press("enter")
        await until(lambda: "frobnicate" in notices(pilot.app))
        assert chat.prompt.earlier == ["/frobnicate"]
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


async def test_up_and_down_inside_a_wrapped_draft_move_the_cursor(runtime: FakeRuntime) -> None:
    talked(runtime, "first")
    async with running(runtime, size=(40, 24)) as pilot:
        prompt = chat_of(pilot).prompt
        draft = "a draft that is longer than a line of this narrow terminal, so it is wrapped"
        prompt.put(draft)
        await until(lambda: prompt.wrapped_document.height == 3)
        await pilot.press("up", "up")
        assert prompt.text == draft
        assert prompt.cursor_location < (0, 30)
        await pilot.press("up")
        assert prompt.text == "first"
        prompt.put("first, and so much more that it takes two lines")  # while the history is walked
        await until(lambda: prompt.wrapped_document.height == 2)
        prompt.move_cursor((0, 0))
        await pilot.press("down")
        assert prompt.text.startswith("first, and")
        await pilot.press("down")
        assert prompt.text == draft


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
        first = completions.chosen("/m")
        await pilot.press("down")
        second = completions.chosen("/m")
        assert first != second
        await pilot.press("up")
        assert completions.chosen("/m") == first
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


# --- Ctrl+C -------------------------------------------------------------------------------------


async def test_ctrl_c_after_the_selected_text_became_shorter(runtime: FakeRuntime) -> None:
    """A fence is closed and another one opened, in the same place of the screen and with fewer lines."""
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        text = ReplyText()
        await chat.mount(text)
        await text.grow("Hi\n\n```python\na=1\nb=2\nc=3\nd=4\n")
        chat.selections = {text.query_one(".open"): Selection(Offset(0, 1), Offset(3, 3))}
        assert chat.get_selected_text()
        await text.grow("```\n\n```sh\nls\n")
        chat.prompt.put("a draft")
        await pilot.press("ctrl+c")
        await until(lambda: not chat.prompt.text)
        assert not chat.selections


@pytest.mark.parametrize("from_prompt", [False, True], ids=["reply", "prompt"])
async def test_ctrl_c_copies_what_is_selected_in_a_reply_and_stops_the_next_time(
    runtime: FakeRuntime, from_prompt: bool
) -> None:
    runtime.replies = [["Tea is **hot** water."], ["Half of it", Hold(), " and the rest."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        view = chat.transcript.newest
        chat.prompt.put("go")
        await pilot.press("enter")
        await until(lambda: "Half of it" in chat.transcript.messages[-1].text)
        chat.prompt.put("a draft")
        chat.prompt.select_all()
        await pilot.pause()  # laid out, so that there is a place to click
        await pilot.click(view.query("MarkdownParagraph").first(), times=2)
        await until(chat.get_selected_text)
        if from_prompt:
            chat.prompt.focus()
            await until(lambda: chat.prompt.has_focus)
        await pilot.press("ctrl+c")
        await until(lambda: pilot.app.clipboard == "Tea is hot water.")
        assert chat.speaking is not None
        assert chat.prompt.text == "a draft"
        chat.prompt.move_cursor((0, 0))
        await pilot.press("ctrl+c")
        await until(lambda: chat.speaking is None)
        assert "stopped" in words(chat.transcript.newest)


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
