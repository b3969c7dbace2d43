"""Every key of Policy and Why does what the help says."""

from __future__ import annotations

import threading

import pytest
from textual.widgets import DataTable

from agent.tui.screens.chat import ChatScreen
from agent.tui.screens.policy import PolicyScreen
from agent.tui.screens.why import WhyScreen
from memory.errors import AttuneError
from memory.forgetting.erase import forget_rating
from memory.records import Recalled
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.kept import REPORT, make_adapter
from tests.agent.tui.waiting import running, say, shown, talked, until, words

WHY_SAYS = (
    "0.81",
    "Fitzo",
    "vector 0.70",
    "Keep replies brief.",
    "pinned",
    "v1 (promoted)",
    "kto on 12 signals",
    "Not enough evidence",
    "good  Tea is a drink",
    "temperature 0.7",
    "21 from the cache",
    "<|system|>",
)


# --- policy -------------------------------------------------------------------------------------


async def test_policy_use_roll_back_base_train_and_stop(runtime: FakeRuntime) -> None:
    first, second = make_adapter(runtime, "promoted", REPORT), make_adapter(runtime, "provisional", REPORT)

    def active() -> str | None:
        found = runtime.registry.active()
        return found.version if found else None

    async with running(runtime) as pilot:
        await shown(pilot, PolicyScreen, "f3")
        screen = pilot.app.screen
        assert isinstance(screen, PolicyScreen)
        await until(lambda: screen.query_one(DataTable).row_count == 3)
        await until(lambda: "Not enough evidence yet" in words(screen))
        await pilot.press("enter")
        await until(lambda: active() == second)
        await pilot.press("down", "u")
        await until(lambda: active() == first)
        await pilot.press("r")
        await until(lambda: active() == second)
        await pilot.press("b")
        await until(lambda: active() is None)
        await pilot.press("x")
        await until(lambda: runtime.cancelled == 1)
        await pilot.press("t")
        await until(lambda: runtime.trained == 1)
        await shown(pilot, ChatScreen, "q")


async def test_policy_shows_what_speaks_on_the_loaded_model(runtime: FakeRuntime) -> None:
    ours, other = (
        make_adapter(runtime, "promoted", REPORT),
        make_adapter(runtime, "promoted", REPORT, "another", "1" * 64),
    )
    runtime.use(ours)
    runtime.registry.activate(other, "chosen for another model")
    async with running(runtime) as pilot:
        await shown(pilot, PolicyScreen, "f3")
        table = pilot.app.screen.query_one(DataTable)
        await until(lambda: table.row_count == 3)
        rows = {str(row[1]): row for row in (table.get_row_at(index) for index in range(3))}
        assert [rows[name][0] for name in (ours, other, "base")] == ["\u25cf", " ", " "]
        assert rows[other][2] == "other model"
        await until(lambda: f"{other}: promoted" in words(pilot.app.screen))
        assert "speaking now" not in words(pilot.app.screen)
        await pilot.press("enter")
        await until(lambda: any("another base" in note.message for note in pilot.app._notifications))


async def test_a_rejected_wish_is_one_sentence(runtime: FakeRuntime) -> None:
    runtime.trained = 1
    async with running(runtime) as pilot:
        await shown(pilot, PolicyScreen, "f3")
        await pilot.press("t")
        await until(lambda: any("running already" in note.message for note in pilot.app._notifications))


async def test_use_before_there_is_a_version_to_see_is_one_sentence(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, wrong = threading.Event(), AttuneError("The home cannot be read.")

    def slow() -> None:
        go_on.wait(60)
        raise wrong

    monkeypatch.setattr(runtime.registry, "list", slow)
    async with running(runtime) as pilot:

        def told(text: str) -> int:
            return sum(text in note.message for note in pilot.app._notifications)

        await shown(pilot, PolicyScreen, "f3")
        await pilot.press("u", "enter")
        await until(lambda: told("No version is on the screen yet") == 1)
        go_on.set()
        await until(lambda: told("home cannot be read"))
        await pilot.press("u")
        await until(lambda: told("No version is on the screen yet") == 2)
        await shown(pilot, ChatScreen, "q")


# --- why ----------------------------------------------------------------------------------------


async def test_why_shows_memories_card_adapter_and_its_ratings(runtime: FakeRuntime) -> None:
    memory = runtime.facts.remember("The dog is called Fitzo.")
    runtime.shown = [Recalled(memory.id, memory.text, 0.81, {"vector": 0.7, "text": 0.1})]
    runtime.card.pin("brief")
    runtime.replies = [["Held out."], ["Tea is a drink."]]
    held_out, trained = (runtime.journal.replies_of(talked(runtime, text))[0] for text in ("a", "b"))
    runtime.rate(held_out.id, -1)
    erased = runtime.journal.replies_of(talked(runtime, "c"))[0]
    named = [runtime.rate(one.id, 1).id for one in (trained, erased)]
    runtime.use(make_adapter(runtime, "promoted", REPORT | {"trained_on": {"feedback": named}}))
    forget_rating(runtime.journal, erased.id)
    async with running(runtime) as pilot:
        await say(pilot, "and the dog?")
        await shown(pilot, WhyScreen, "ctrl+o")
        await until(
            lambda: (
                "The ratings v1 was trained on" in str(pilot.app.screen.query("Collapsible").first().title)
            )
        )
        text = words(pilot.app.screen)
        for expected in (*WHY_SAYS, "1 signal taken back or erased since"):
            assert expected in text
        assert "Held out." not in text  # rated before the adapter was made, and not trained on
        await shown(pilot, ChatScreen, "q")


async def test_why_of_a_foreign_reply_is_one_sentence(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        pilot.app.show_why("no-such-reply")
        await until(lambda: "No reply" in words(pilot.app.screen))
