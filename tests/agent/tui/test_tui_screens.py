"""Every key of the other screens does what the help says."""

from __future__ import annotations

import pytest
from textual.command import CommandList
from textual.widgets import Input, OptionList

from agent.tui import keys
from agent.tui.screens.card import CardScreen
from agent.tui.screens.chat import ChatScreen
from agent.tui.screens.dialogs import Confirm, TextDialog
from agent.tui.screens.help import HelpScreen
from agent.tui.screens.memory import MemoryScreen
from agent.tui.screens.policy import PolicyScreen
from agent.tui.screens.sessions import SessionsScreen
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import notices, running, say, shown, talked, until, words


@pytest.mark.parametrize(
    ("key", "screen"),
    [
        ("f1", HelpScreen),
        ("f2", MemoryScreen),
        ("f3", PolicyScreen),
        ("f4", SessionsScreen),
        ("f5", CardScreen),
    ],
)
async def test_function_keys_open_screens_and_escape_leaves(
    runtime: FakeRuntime, key: str, screen: type
) -> None:
    async with running(runtime) as pilot:
        await shown(pilot, screen, key)
        await shown(pilot, ChatScreen, "escape")


async def test_one_screen_replaces_another(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await shown(pilot, MemoryScreen, "f2")
        await shown(pilot, PolicyScreen, "f3")
        await shown(pilot, ChatScreen, "escape")


async def test_ctrl_q_leaves(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.press("ctrl+q")
        await until(lambda: pilot.app._exit)


async def test_help_names_every_key(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await shown(pilot, HelpScreen, "f1")
        text = words(pilot.app.screen)
        for title in keys.TABLES:
            for binding in keys.table(title):
                assert binding.description in text
        assert "/regenerate" in text
        await shown(pilot, ChatScreen, "q")


def test_key_ids_are_unique_so_that_a_keymap_can_move_them() -> None:
    ids = [binding.id for title in keys.TABLES for binding in keys.table(title)]
    assert len(ids) == len(set(ids))


async def test_a_keymap_moves_a_key(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        pilot.app.set_keymap({"reply.good": "g"})
        await say(pilot, "hello")
        await pilot.press("escape", "g")
        await until(lambda: runtime.journal.feedback())
        assert runtime.journal.feedback()[0].value == 1


# --- memory -------------------------------------------------------------------------------------


async def test_memory_add_edit_search_and_forget(runtime: FakeRuntime) -> None:
    runtime.facts.remember("The dog is called Fitzo.")
    async with running(runtime) as pilot:
        await shown(pilot, MemoryScreen, "f2")
        screen = pilot.app.screen
        assert isinstance(screen, MemoryScreen)
        await shown(pilot, TextDialog, "a")
        await pilot.press(*"Tea at four.", "enter")
        await until(lambda: runtime.facts.count() == 2 and screen.query_one(OptionList).option_count == 2)

        await pilot.press("slash")
        await until(lambda: screen.query_one(Input).has_focus)
        await pilot.press(*"fitzo")
        await until(lambda: screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(lambda: screen.query_one(OptionList).has_focus)

        await shown(pilot, TextDialog, "e")
        await pilot.press("backspace", *" now.", "ctrl+s")
        await until(lambda: any(one.text == "The dog is called Fitzo now." for one in runtime.facts.all()))

        await until(lambda: pilot.app.screen is screen)
        await shown(pilot, Confirm, "f")
        await pilot.press("n")
        await until(lambda: pilot.app.screen is screen)
        assert runtime.facts.count() == 2
        await shown(pilot, Confirm, "delete")
        await pilot.press("y")
        await until(lambda: [one.text for one in runtime.facts.all()] == ["Tea at four."])

        await pilot.press("escape")  # leaves the search first
        await until(lambda: screen.query_one(Input).value == "")
        await shown(pilot, ChatScreen, "escape")


async def test_enter_edits_a_memory(runtime: FakeRuntime) -> None:
    runtime.facts.remember("The dog is called Fitzo.")
    async with running(runtime) as pilot:
        await shown(pilot, MemoryScreen, "f2")
        await until(lambda: pilot.app.screen.query_one(OptionList).has_focus)
        await shown(pilot, TextDialog, "enter")


# --- card ---------------------------------------------------------------------------------------


async def test_card_pin_strike_reset_edit_and_add(runtime: FakeRuntime) -> None:
    def state(feature: str) -> str:
        return next(line.state for line in runtime.card.lines() if line.feature == feature)

    async with running(runtime) as pilot:
        await shown(pilot, CardScreen, "f5")
        screen = pilot.app.screen
        assert isinstance(screen, CardScreen)
        await until(lambda: screen.chosen)
        feature = screen.chosen
        await pilot.press("p")
        await until(lambda: state(feature) == "pinned")
        await pilot.press("home", "s")
        await until(lambda: state(feature) == "struck")
        screen.query_one(OptionList).highlighted = screen.query_one(OptionList).get_option_index(feature)
        await pilot.press("x")
        await until(lambda: state(feature) == "auto")
        await shown(pilot, TextDialog, "a")
        await pilot.press(*"Answer in French.", "enter")
        await until(lambda: "Answer in French." in runtime.card.active_lines())
        await until(lambda: pilot.app.screen is screen)
        screen.query_one(OptionList).highlighted = 0
        await shown(pilot, TextDialog, "e")
        await pilot.press("backspace", *", please.", "enter")
        await until(lambda: "Answer in French, please." in runtime.card.active_lines())
        await shown(pilot, ChatScreen, "q")


# --- conversations ------------------------------------------------------------------------------


async def test_sessions_open_search_rename_delete_and_new(runtime: FakeRuntime) -> None:
    tea, sea = talked(runtime, "about tea"), talked(runtime, "about the sea")
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        await shown(pilot, SessionsScreen, "f4")
        screen = pilot.app.screen
        assert isinstance(screen, SessionsScreen)
        await until(lambda: screen.chosen == sea)
        await shown(pilot, TextDialog, "r")
        await pilot.press("home", *"All ", "enter")
        await until(lambda: runtime.journal.conversation(sea).title == "All about the sea")
        await until(lambda: pilot.app.screen is screen)
        await pilot.press("slash", *"about", "space", *"tea")
        await until(lambda: screen.chosen == tea)
        await pilot.press("enter", "enter")
        await until(lambda: chat.conversation_id == tea and chat.transcript.newest)

        await shown(pilot, SessionsScreen, "f4")
        await until(lambda: pilot.app.screen.chosen == sea)
        await shown(pilot, Confirm, "d")
        await pilot.press("y")
        await until(lambda: [one.id for one in runtime.journal.conversations()] == [tea])
        await until(lambda: isinstance(pilot.app.screen, SessionsScreen))
        await shown(pilot, ChatScreen, "n")
        await until(lambda: chat.conversation_id is None)


async def test_escape_in_sessions_changes_nothing(runtime: FakeRuntime) -> None:
    talked(runtime, "about tea")
    async with running(runtime) as pilot:
        await shown(pilot, SessionsScreen, "f4")
        await shown(pilot, ChatScreen, "escape")
        assert pilot.app.chat.conversation_id is None


# --- the palette --------------------------------------------------------------------------------


async def test_the_palette_opens_screens(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        titles = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"Memory", "Policy", "Conversations", "Card", "Why", "Train now", "Keys"} <= titles
        await pilot.press("ctrl+p")
        await until(lambda: pilot.app.screen.is_modal)
        await pilot.press(*"policy")
        await until(lambda: pilot.app.screen.query_one(CommandList).option_count == 1)
        await shown(pilot, PolicyScreen, "enter")


async def test_train_from_the_palette(runtime: FakeRuntime) -> None:
    [reply] = runtime.journal.replies_of(talked(runtime, "hello"))
    runtime.rate(reply.id, 1)
    async with running(runtime) as pilot:
        commands = {one.title: one.callback for one in pilot.app.get_system_commands(pilot.app.screen)}
        commands["Train now"]()
        await until(lambda: "started" in notices(pilot.app))
        assert runtime.trained == 1
