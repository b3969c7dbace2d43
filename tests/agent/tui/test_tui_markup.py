"""A reply shows all that the model wrote, also where it looks like HTML."""

from __future__ import annotations

import pytest

from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import chat_of, picture, running, say, until


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<div>Hello</div>", ["<div>Hello</div>"]),
        ("Use std::vector<int> for that.", ["Use std::vector<int> for that."]),
        ("Before <!-- x --> after", ["Before <!-- x --> after"]),
        ("<!-- alone -->", ["<!-- alone -->"]),
        ("<table>\n<tr><td>1</td></tr>\n</table>", ["<table>", "<tr><td>1</td></tr>", "</table>"]),
        ("- a <b>c</b>\n\n> <i>d</i>", ["a <b>c</b>", "<i>d</i>"]),
        ("# <h1>\n\n**<b>** and &lt;p&gt;", ["<h1>", "<b> and <p>"]),
    ],
)
async def test_html_is_text(runtime: FakeRuntime, written: str, seen: list[str]) -> None:
    half = len(written) // 2
    runtime.replies = [[written[:half], written[half:]]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "go")
        await until(lambda: all(part in picture(pilot.app) for part in seen))
        conversation = chat.conversation_id
        await pilot.press("ctrl+n")
        await until(lambda: chat.query("#welcome"))
        await chat.open_conversation(conversation)
        await until(lambda: all(part in picture(pilot.app) for part in seen))
