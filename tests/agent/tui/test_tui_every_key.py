"""The keys that no other file presses, and that together they press every key there is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.widgets import Button

from agent.tui import keys
from agent.tui.screens.card import CardScreen
from agent.tui.screens.chat import ChatScreen
from agent.tui.screens.dialogs import Confirm
from agent.tui.screens.sessions import SessionsScreen
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import running, talked, until

TYPED = {"plus": "+", "equals_sign": "=", "minus": "-", "question_mark": "?", "slash": "/"}


async def test_enter_pins_a_card_line(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.press("f5")
        await until(lambda: isinstance(pilot.app.screen, CardScreen) and pilot.app.screen.chosen)
        feature = pilot.app.screen.chosen
        await pilot.press("enter")
        await until(
            lambda: any(line.feature == feature and line.state == "pinned" for line in runtime.card.lines())
        )


async def test_delete_deletes_a_conversation(runtime: FakeRuntime) -> None:
    talked(runtime, "about tea")
    async with running(runtime) as pilot:
        await pilot.press("f4")
        await until(lambda: isinstance(pilot.app.screen, SessionsScreen) and pilot.app.screen.chosen)
        await pilot.press("delete")
        await until(lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: not runtime.journal.conversations())


async def test_right_moves_between_the_buttons_too(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        heard: list[bool | None] = []
        pilot.app.push_screen(Confirm("Really?"), heard.append)
        await until(lambda: isinstance(pilot.app.focused, Button) and pilot.app.focused.id == "no")
        await pilot.press("right")
        await until(lambda: isinstance(pilot.app.focused, Button) and pilot.app.focused.id == "yes")
        await pilot.press("right", "enter")
        await until(lambda: heard == [False])


async def test_q_leaves_the_policy(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await pilot.press("f3")
        await until(lambda: not isinstance(pilot.app.screen, ChatScreen))
        await pilot.press("q")
        await until(lambda: isinstance(pilot.app.screen, ChatScreen))


def pressed() -> set[str]:
    """Every literal that the tests of this folder press, or give to a test as a parameter."""
    found: set[str] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in ("press", "shown", "parametrize"):
                given = [part for argument in node.args for part in ast.walk(argument)]
                found |= {part.value for part in given if _is_text(part)}
            elif isinstance(node, ast.For):  # for key, ... in (("left", ...), ...)
                found |= {part.value for part in ast.walk(node.iter) if _is_text(part)}
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


TABLES = {
    name: table
    for name, table in vars(keys).items()
    if isinstance(table, list) and table and all(isinstance(one, Binding) for one in table)
}


def test_all_tables_are_looked_at() -> None:
    assert {"APP", "CHAT", "PROMPT", "REPLY", "TURN", "CARD", "CONFIRM", "WHY"} <= set(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_key_is_pressed_somewhere(name: str) -> None:
    wanted = {TYPED.get(key, key) for one in TABLES[name] for key in one.key.split(",")}
    said = pressed() | {TYPED.get(key, key) for key in pressed()}
    assert wanted <= said
