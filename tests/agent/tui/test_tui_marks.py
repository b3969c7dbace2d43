"""The marks under a reply say what holds, in whatever width there is, and its own version is gone on with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from agent.tui.screens.dialogs import TextDialog
from agent.tui.verdict import Verdict
from agent.tui.widgets.marks import AGAIN, WHY, Words, words
from memory.forgetting.erase import forget_rating
from memory.records import Feedback, Generation
from tests.agent.tui import waiting
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import chat_of, notices, picture, running, say, shown, talked, until

REASON = "I asked for one sentence, and got a whole page about the history of tea instead"
UP = Feedback("f", 1, "r", "thumb", 1, 0.0)
BAD = replace(UP, value=-1, why=REASON)


MADE = Generation(
    reply_id="r",
    base="sprout",
    adapter="v12",
    messages=(),
    prompt_text="",
    prompt_ids=(),
    completion_ids=(),
    sampling={},
    recalled=(),
    passages=(),
    card_lines=(),
    finish_reason="stop",
    first_token_ms=52.0,
    total_ms=420.0,
    reused_tokens=0,
)


def row(one: Words) -> list[str]:
    """As it is drawn: one string for each row."""
    thumbs = [f"{part}  " for part in (one.good, one.bad, one.undo, one.version) if part]
    others = [f"{part} " for part in (one.place, one.before, one.after, one.pick) if part]
    others += [f"{AGAIN}  ", f"{WHY}  ", one.made]
    rows = ["".join(thumbs), "".join(others)]
    return ["".join(rows)] if one.rows == 1 else [rows[0][:-2], rows[1]]


@pytest.mark.parametrize("width", [33, 40, 53, 60, 72, 100])
@pytest.mark.parametrize("thumb", [None, UP, BAD], ids=["none", "good", "bad and why"])
@pytest.mark.parametrize("place", [(1, 1), (2, 3)], ids=["alone", "siblings"])
@pytest.mark.parametrize("version", [None, "Mine."], ids=["as it came", "edited"])
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_the_marks_fit_and_keep_their_keys(
    width: int, thumb: Feedback | None, place: tuple[int, int], version: str | None, finish: str
) -> None:
    for picked in {False, place[1] > 1}:
        one = words(Verdict(thumb, version, picked), place, replace(MADE, finish_reason=finish), width)
        rows = row(one)
        assert max(map(cell_len, rows)) <= width, rows
        text = "\n".join(rows)
        for part in ("r again", "w why", "v12", "yo" if version else ""):
            assert part in text
        assert ("u undo" in text) is (thumb is not None)
        assert ("2/3" in text) is (place[1] > 1)
        assert ("p pick" in text) is (place[1] > 1 and not picked)
        assert ("\u25cf picked" in text) is picked


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (0, [f"\u25cf rated bad: {REASON}  u undo  r again  w why  v12 \u00b7 0.4 s"]),
        (
            72,
            [
                "\u25cf rated bad: I asked for one sentence, and got a whole page abo\u2026  u undo",
                "r again  w why  v12 \u00b7 0.4 s",
            ],
        ),
        (
            53,
            [
                "\u25cf rated bad: I asked for one sentence, and g\u2026  u undo",
                "r again  w why  v12 \u00b7 0.4 s",
            ],
        ),
    ],
)
def test_a_reason_takes_the_width_that_is_left(width: int, rows: list[str]) -> None:
    assert row(words(Verdict(BAD), (1, 1), MADE, width)) == rows


def test_the_seconds_go_first() -> None:
    thumb = Verdict(UP)
    whole = "\u25cf rated good  u undo  2/2 \u2190 \u2192 p picks this one r again  w why  v12"
    assert row(words(thumb, (2, 2), MADE, 80)) == [f"{whole} \u00b7 0.4 s"]
    assert row(words(thumb, (2, 2), MADE, 72)) == [whole]


@pytest.mark.parametrize("size", [(60, 20), (80, 24)], ids=["60x20", "80x24"])
async def test_all_marks_are_in_the_picture(runtime: FakeRuntime, size: tuple[int, int]) -> None:
    runtime.adapter = "v12"
    async with running(runtime, size) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await say(pilot, "again")
        await pilot.press("ctrl+r")
        await until(lambda: chat.speaking is None and chat.transcript.newest.place == (2, 2))
        chat.prompt.put(f"/bad {REASON}")
        await pilot.press("enter")
        for part in ("rated bad: I asked for one", "u undo", "2/2", "r again", "w why", "v12"):
            await until(lambda: part in picture(pilot.app))  # noqa: B023
        chat.prompt.put("/pick")
        await pilot.press("enter")
        await until(lambda: "\u25cf picked" in picture(pilot.app))


async def test_another_width_draws_the_marks_anew(runtime: FakeRuntime) -> None:
    async with running(runtime, (120, 24)) as pilot:
        await say(pilot, "hello")
        chat_of(pilot).prompt.put(f"/bad {REASON}")
        await pilot.press("enter")
        await until(lambda: REASON in picture(pilot.app))
        await pilot.resize_terminal(60, 20)
        await until(lambda: "u undo" in picture(pilot.app) and "w why" in picture(pilot.app))


# --- one's own version, and the pick --------------------------------------------------------------


async def test_an_edit_goes_on_from_the_newest_version(runtime: FakeRuntime) -> None:
    runtime.replies = [["Old."]]
    async with running(runtime) as pilot:
        app, chat = pilot.app, chat_of(pilot)
        await say(pilot, "hello")
        reply = chat.transcript.newest
        await pilot.press("escape")
        await until(lambda: app.focused is reply)
        for key, text in (("!", "Old.!"), ("?", "Old.!?")):
            await shown(pilot, TextDialog, "e")
            await pilot.press(key, "ctrl+s")
            await until(lambda: [one.text for one in runtime.journal.feedback()][-1:] == [text])  # noqa: B023
            await until(lambda: app.screen is chat and "\u25cf your version" in waiting.words(reply))
        runtime.edit_reply(reply.reply_id, "Elsewhere.")
        await shown(pilot, TextDialog, "e")
        assert app.focused.text == "Elsewhere."
        await pilot.press("ctrl+s")
        await until(lambda: "your version already" in notices(app))
        assert [one.text for one in runtime.journal.feedback()] == ["Old.!", "Old.!?", "Elsewhere."]
        assert "nothing was saved" in notices(app)


async def test_a_conversation_that_is_opened_shows_its_edit_and_its_pick(runtime: FakeRuntime) -> None:
    runtime.replies = [["One."], ["Two."]]
    conversation = talked(runtime, "hello")
    [first] = runtime.journal.replies_of(conversation)
    list(runtime.loop.regenerate(first.id))
    second = runtime.journal.replies_of(conversation)[-1]
    runtime.pick(second.id, first.id)
    runtime.edit_reply(second.id, "Mine.")
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await chat.open_conversation(conversation)
        await until(lambda: "\u25cf picked" in waiting.words(chat.transcript.newest))
        text = waiting.words(chat.transcript.newest)
        assert "\u25cf your version" in text
        assert "p picks this one" not in text
        chat.transcript.newest.focus()
        await pilot.press("left")
        await until(lambda: chat.transcript.newest.text == "One.")
        text = waiting.words(chat.transcript.newest)
        assert "p picks this one" in text
        assert "picked" not in text
        assert "your version" not in text


async def test_a_pick_is_one_until_there_is_another_reply_or_it_is_forgotten(runtime: FakeRuntime) -> None:
    runtime.replies = [["One."], ["Two."], ["Three."]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        await pilot.press("ctrl+r")
        await until(lambda: chat.speaking is None and chat.transcript.newest.text == "Two.")
        await pilot.press("escape", "p")
        await until(lambda: "\u25cf picked" in waiting.words(chat.transcript.newest))
        assert "p picks this one" not in waiting.words(chat.transcript.newest)
        await pilot.press("r")
        await until(lambda: chat.speaking is None and chat.transcript.newest.text == "Three.")
        chat.transcript.newest.focus()
        await pilot.press("left")
        await until(lambda: chat.transcript.newest.text == "Two.")
        assert "p picks this one" in waiting.words(chat.transcript.newest), "not over the third one"
        await until(lambda: chat.focused is chat.transcript.newest)
        await pilot.press("p")
        await until(lambda: "\u25cf picked" in waiting.words(chat.transcript.newest))
        forget_rating(runtime.journal, chat.transcript.newest.reply_id)
        await chat.rating.look(chat.transcript.replies)
        await until(lambda: "p picks this one" in waiting.words(chat.transcript.newest))
