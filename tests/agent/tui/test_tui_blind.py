"""Two replies without labels on the screen: how they look, and every way to answer them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agent.tui.app import AttuneApp, settled
from agent.tui.widgets.pair import ChoiceMark, PairView
from agent.tui.widgets.reply import ReplyView
from memory.records import Feedback
from tests.agent.tui.fake_runtime import FakeRuntime, Two
from tests.agent.tui.kept import freeze_times
from tests.agent.tui.waiting import beside, chat_of, notices, rating, running, say, until, words

PAIR = Two("Tea is a drink.", "- a plant\n- dried leaves")


@pytest.fixture
def learned(runtime: FakeRuntime) -> FakeRuntime:
    """An adapter speaks, and the next turn shows two replies."""
    runtime.adapter = "v3"
    runtime.replies = [[PAIR]]
    return runtime


async def offered(pilot, text: str = "tea") -> PairView:
    chat = chat_of(pilot)
    chat.prompt.put(text)
    await pilot.press("enter")
    view = await until(lambda: chat.speaking is None and chat.transcript.pair, 30.0)
    await until(lambda: "picks this one" in words(view))
    return view


def given(runtime: FakeRuntime) -> list[Feedback]:
    return runtime.journal.feedback()


@pytest.mark.parametrize(("key", "number"), [("1", 0), ("2", 1)])
async def test_a_key_picks(learned: FakeRuntime, key: str, number: int) -> None:
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat, ids = chat_of(pilot), (view.first.id, view.second.id)
        assert "v3" not in words(view)
        assert "base" not in words(view)
        await pilot.press("escape")
        await until(lambda: chat.focused is view)
        await pilot.press(key)
        await until(lambda: chat.transcript.pair is None and chat.transcript.newest)
        [event] = given(learned)
        assert (event.kind, event.source) == ("pick", "blind")
        assert (event.reply_id, event.other_id) == (ids[number], ids[1 - number])
        assert chat.transcript.newest.reply_id == ids[number]
        assert chat.head_id == ids[number]
        won = 1 - number  # the reply of the adapter stands first here
        await until(lambda: f"v3 against base: {won} of 1, not decided yet" in words(chat.transcript.newest))
        assert ("v3 \u00b7" if won else "base \u00b7") in words(chat.transcript.newest.query_one(".made"))
        assert chat.prompt.has_focus
        await say(pilot, "and then?")
        assert learned.journal.path(chat.head_id)[1].id == ids[number]


@pytest.mark.parametrize("mark", ["2 picks this one", "= alike", "x both bad", "s leaves it"])
async def test_the_mouse_answers_too(learned: FakeRuntime, mark: str) -> None:
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat = chat_of(pilot)
        target = next(one for one in view.query(ChoiceMark) if str(one.render()) == mark)
        target.post_message(_click(target))
        await until(lambda: chat.transcript.pair is None and chat.transcript.newest)
        kinds = [(event.kind, event.value) for event in given(learned)]
        assert (
            kinds
            == {
                "2 picks this one": [("pick", 1)],
                "= alike": [("thumb", 0)] * 2,
                "x both bad": [("thumb", -1)] * 2,
                "s leaves it": [],
            }[mark]
        )


def _click(widget):
    from textual.events import Click

    return Click(widget, 0, 0, 0, 0, 1, False, False, False)


async def test_what_is_picked_before_the_turn_has_ended_stays_picked(runtime: FakeRuntime) -> None:
    """A large base still looks for facts behind the two replies."""
    pair = Two("Tea is a drink.", "- a plant", behind=threading.Event())
    runtime.adapter, runtime.replies = "v3", [[pair]]
    async with running(runtime) as pilot:
        chat = chat_of(pilot)
        chat.prompt.put("tea")
        await pilot.press("enter")
        view = await until(lambda: chat.transcript.pair, 30.0)
        target = await until(
            lambda: [one for one in view.query(ChoiceMark) if "2 picks" in str(one.render())]
        )
        target[0].post_message(_click(target[0]))
        await until(lambda: chat.transcript.pair is None and chat.transcript.newest)
        assert chat.speaking is not None
        pair.behind.set()
        await until(lambda: chat.speaking is None)
        assert chat.head_id == view.second.id


async def test_alike_goes_on_from_the_active_reply_and_counts_as_nothing(learned: FakeRuntime) -> None:
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat = chat_of(pilot)
        await pilot.press("escape", "=")
        await until(lambda: chat.transcript.newest and "counts as nothing" in words(chat.transcript.newest))
        assert chat.transcript.newest.reply_id == view.first.id
        assert chat.transcript.newest.place == (1, 2)
        assert learned.journal.signals() == []


async def test_both_bad_is_a_thumb_down_on_both(learned: FakeRuntime) -> None:
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat = chat_of(pilot)
        await pilot.press("escape", "x")
        await until(lambda: chat.transcript.newest and "rated bad" in words(chat.transcript.newest))
        assert {reply.id for event, reply in learned.journal.signals() if event.value < 0} == {
            view.first.id,
            view.second.id,
        }
        assert rating(learned, chat.transcript.newest) == -1


async def test_s_and_writing_on_leave_it_open(learned: FakeRuntime) -> None:
    learned.replies = [[PAIR], [PAIR], ["With milk."]]
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat = chat_of(pilot)
        await pilot.press("escape", "s")
        await until(lambda: chat.transcript.pair is None and chat.transcript.newest)
        assert chat.transcript.newest.reply_id == view.first.id
        view = await offered(pilot, "more")
        await say(pilot, "and then?")
        assert chat.transcript.pair is None
        assert [one.text for one in chat.transcript.replies][1:] == ["Tea is a drink.", "With milk."]
        assert learned.journal.path(chat.head_id)[3].id == view.first.id
        assert given(learned) == []


@pytest.mark.parametrize("key", ["1", "2", "=", "x", "s"])
async def test_typing_never_chooses(learned: FakeRuntime, key: str) -> None:
    async with running(learned) as pilot:
        await offered(pilot)
        await pilot.press(key)
        await until(lambda: chat_of(pilot).prompt.text == key)
        assert chat_of(pilot).transcript.pair is not None
        assert given(learned) == []


async def test_the_pair_is_a_stop_among_the_messages(learned: FakeRuntime) -> None:
    learned.replies = [["Before."], [PAIR]]
    async with running(learned) as pilot:
        chat = chat_of(pilot)
        await say(pilot, "hello")
        view = await offered(pilot)
        for up, down in (("up", "down"), ("k", "j")):
            await pilot.press("escape")
            await until(lambda: chat.focused is view)
            await pilot.press(up, up)
            await until(lambda: isinstance(chat.focused, ReplyView))
            await pilot.press(down, down)
            await until(lambda: chat.focused is view)
            await pilot.press(down)
            await until(lambda: chat.prompt.has_focus)
        for key in ("enter", "i"):
            await pilot.press("tab")
            await until(lambda: chat.focused is view)
            await pilot.press(key)
            await until(lambda: chat.prompt.has_focus)
        assert chat.transcript.pair is view


@pytest.mark.parametrize("key", ["ctrl+g", "ctrl+b", "ctrl+r", "ctrl+o"])
async def test_the_newest_reply_waits_for_the_choice(learned: FakeRuntime, key: str) -> None:
    learned.replies = [["Before."], [PAIR]]
    async with running(learned) as pilot:
        await say(pilot, "hello")
        await offered(pilot)
        await pilot.press(key)
        await until(lambda: "Choose between the two" in notices(pilot.app))
        chat_of(pilot).prompt.put("/bad dull")
        await pilot.press("enter")
        await until(lambda: notices(pilot.app).count("Choose between the two") == 2)
        assert given(learned) == []


async def test_escape_stops_both(learned: FakeRuntime) -> None:
    learned.replies = [[Two("One.", "Two.", threading.Event())]]
    async with running(learned) as pilot:
        chat = chat_of(pilot)
        await pilot.press(*"tea", "enter")
        await until(lambda: "Writing two replies" in notices(pilot.app))
        assert "Esc stops" in str(chat.prompt.border_title)
        await pilot.press("escape")
        await until(lambda: chat.speaking is None)
        assert chat.transcript.pair is None
        assert "Writing" not in notices(pilot.app)
        assert "stopped" in words(chat.transcript.newest)
        [conversation] = learned.journal.conversations()
        assert len(learned.journal.replies_of(conversation.id)) == 1


async def test_a_pair_that_was_answered_elsewhere_says_so(learned: FakeRuntime) -> None:
    async with running(learned) as pilot:
        view = await offered(pilot)
        learned.choose(view.second.id, view.first.id, "first")
        await pilot.press("escape", "1")
        await until(lambda: "chosen between these two replies already" in notices(pilot.app))
        assert len(given(learned)) == 1
        await pilot.press("s")
        await until(lambda: chat_of(pilot).transcript.pair is None)


async def test_an_answer_that_comes_late_does_not_move_another_conversation(
    learned: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, choose = threading.Event(), learned.choose

    def slow(*answer: Any) -> list[Feedback]:
        go_on.wait(60)
        return choose(*answer)

    monkeypatch.setattr(learned, "choose", slow)
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat = chat_of(pilot)
        await pilot.press("escape")
        await until(lambda: chat.focused is view)
        await pilot.press("1", "ctrl+n")
        await until(lambda: chat.query("#welcome"))
        go_on.set()
        await until(lambda: given(learned) and not beside(pilot))
        assert chat.head_id is None
        await say(pilot, "something else")
        assert chat.conversation_id != view.first.conversation_id
        assert learned.journal.path(chat.head_id)[0].content == "something else"
        assert "wrong" not in notices(pilot.app)


async def test_an_open_pair_is_the_active_reply_when_it_is_opened_again(learned: FakeRuntime) -> None:
    async with running(learned) as pilot:
        view = await offered(pilot)
        chat = chat_of(pilot)
        conversation = chat.conversation_id
        await pilot.press("ctrl+n")
        await until(lambda: chat.query("#welcome"))
        await chat.open_conversation(conversation)
        await until(lambda: chat.transcript.newest)
        assert chat.transcript.newest.reply_id == view.first.id
        assert chat.transcript.newest.place == (1, 2)


@pytest.mark.parametrize("size", [(80, 24), (110, 30)], ids=["80x24", "110x30"])
def test_picture(learned: FakeRuntime, snap_compare, size: tuple[int, int]) -> None:
    async def before(pilot) -> None:
        app = pilot.app
        await settled(app, 60.0)
        view = await offered(pilot, "What is tea?")
        await pilot.press("escape")
        await until(lambda: app.focused is view)
        app.look_again()
        await until(lambda: not app._looking and app.status is not None)
        freeze_times(learned)
        await pilot.pause()

    assert snap_compare(AttuneApp(learned), terminal_size=size, run_before=before)  # type: ignore[arg-type]
