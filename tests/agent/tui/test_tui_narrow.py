"""In a terminal of 60 by 20 every screen says how to go on, and at 80 by 24 the status line is whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len
from textual.widgets import OptionList

from agent.learning_clock import LearningStatus
from agent.tui.screens.card import CardScreen, row
from agent.tui.screens.dialogs import Confirm
from agent.tui.screens.help import HelpScreen
from agent.tui.screens.memory import MemoryScreen
from agent.tui.screens.policy import PolicyScreen
from agent.tui.screens.sessions import SessionsScreen
from agent.tui.widgets.status import StatusLine, status_text
from memory.records import CardLine
from memory.taste.preferences import OWN
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.kept import REPORT, make_adapter
from tests.agent.tui.waiting import picture, running, shown, until, words

LONG = "Answer in French, and in Italian where the question is about Italy."
EVERYDAY = LearningStatus("sprout", "v1", "provisional", 477, 2048, 8, None, "", True)


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
async def test_the_whole_hint_is_in_the_picture(runtime: FakeRuntime, key: str, screen: type) -> None:
    async with running(runtime, (60, 20)) as pilot:
        await shown(pilot, screen, key)
        hint = str(pilot.app.screen.query(".hint").last().render())
        assert hint.endswith("Esc back")
        await until(lambda: hint in " ".join(picture(pilot.app).split()))


async def test_the_prompt_says_its_keys(runtime: FakeRuntime) -> None:
    async with running(runtime, (60, 20)) as pilot:
        await until(lambda: "/ commands \u00b7 Tab replies \u00b7 F1 keys" in picture(pilot.app))
        assert "Ctrl+J" not in picture(pilot.app)
        await pilot.resize_terminal(80, 24)
        await until(lambda: "Ctrl+J new line" in picture(pilot.app) and "F1 keys" in picture(pilot.app))


async def test_tab_goes_to_the_report_and_back(runtime: FakeRuntime) -> None:
    make_adapter(runtime, "promoted", REPORT)
    async with running(runtime) as pilot:
        await shown(pilot, PolicyScreen, "f3")
        await until(lambda: "Tab report" in picture(pilot.app))
        await pilot.press("tab")
        await until(lambda: pilot.app.focused.id == "report")
        await pilot.press("tab")
        await until(lambda: pilot.app.focused.id != "report")
        await shown(pilot, HelpScreen, "f1")
        assert "to the report and back" in words(pilot.app.screen)


# --- the status line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (78, "sprout \u00b7 v1 (provisional) \u00b7 477/2,048 tokens \u00b7 8 ratings until the next update"),
        (76, "sprout \u00b7 v1 (provisional) \u00b7 477/2,048 \u00b7 8 ratings until the next update"),
        (60, "sprout \u00b7 v1 (provisional) \u00b7 8 ratings until the next update"),
        (56, "sprout \u00b7 v1 (provisional) \u00b7 update in 8 ratings"),
        (36, "sprout \u00b7 v1 \u00b7 update in 8 ratings"),
    ],
)
def test_what_matters_least_leaves_the_status_line_first(width: int, line: str) -> None:
    assert status_text(EVERYDAY, width) == line
    training = replace(EVERYDAY, progress=0.4, stage="training on 12 of 40 rows")
    assert "40%" in status_text(training, width)
    assert len(status_text(training, width)) <= width


async def test_the_everyday_status_is_whole_at_80_columns(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        line = pilot.app.chat.query_one(StatusLine)
        line.show(EVERYDAY)
        assert "8 ratings until the next update" in words(line)
        assert "477/2,048" in words(line)


# --- the card -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [21, 35, 55, 67, 68, 95])
@pytest.mark.parametrize("state", ["pinned", "struck", "auto"])
@pytest.mark.parametrize("text", ["Keep replies brief.", LONG, "\u77ed\u304f\u7b54\u3048\u308b" * 9])
def test_a_card_line_is_one_row(width: int, state: str, text: str) -> None:
    line = row(CardLine("f", text, 0.6, state=state, active=True), width)
    assert cell_len(line) <= max(width, 22)
    assert "60%" in line
    assert ("\u2588" in line) is (width >= 68)
    assert line.endswith("60%" if state == "auto" else state)


async def test_card_lines_do_not_wrap_when_the_terminal_gets_narrow(runtime: FakeRuntime) -> None:
    runtime.card.add(LONG)
    async with running(runtime, (100, 30)) as pilot:
        await shown(pilot, CardScreen, "f5")
        await until(lambda: "\u2588" in picture(pilot.app))
        await pilot.resize_terminal(60, 20)
        await until(lambda: "\u2588" not in picture(pilot.app))
        rows = pilot.app.screen.query_one(OptionList)
        assert rows.virtual_size.height == rows.option_count


async def test_the_whole_text_of_a_line_that_is_cut_stands_below(runtime: FakeRuntime) -> None:
    runtime.card.add(LONG)
    async with running(runtime) as pilot:
        await shown(pilot, CardScreen, "f5")
        await until(lambda: (pilot.app.screen.chosen or "").startswith(OWN))
        await until(lambda: f"{LONG}\nWritten by you." in words(pilot.app.screen))
        await pilot.press("down")
        await until(lambda: "No " in str(pilot.app.screen.query_one("#detail").render()))
        assert LONG not in words(pilot.app.screen), "nothing is said twice"


async def test_a_line_of_ones_own_is_deleted_after_a_question(runtime: FakeRuntime) -> None:
    runtime.card.add(LONG)
    runtime.card.pin("brief")
    async with running(runtime) as pilot:
        await shown(pilot, CardScreen, "f5")
        screen = pilot.app.screen
        await until(lambda: screen.chosen)
        rows = screen.query_one(OptionList)
        rows.highlighted = next(
            index for index in range(rows.option_count) if str(rows.get_option_at_index(index).id)[:4] == OWN
        )
        await shown(pilot, Confirm, "x")
        assert LONG in words(pilot.app.screen)
        await pilot.press("n")
        await until(lambda: pilot.app.screen is screen)
        assert LONG in runtime.card.active_lines()
        await shown(pilot, Confirm, "x")
        await pilot.press("y")
        await until(lambda: LONG not in runtime.card.active_lines())
        said = f"Your line is deleted: {LONG}"
        await until(lambda: any(note.message == said for note in pilot.app._notifications))
        await until(lambda: pilot.app.screen is screen and rows.option_count == len(runtime.card.lines()))
        rows.highlighted = rows.get_option_index("brief")
        await pilot.press("x")  # one that the ratings may bring back is no loss
        await until(lambda: runtime.card.line("brief").state == "auto")
