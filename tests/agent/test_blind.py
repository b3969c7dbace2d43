"""Two replies without labels: when they come, whose they are, and what the choice between them leaves."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agent import blind
from agent.config import ConfigError, Settings, load_settings
from agent.events import (
    BlindReplies,
    BlindStarted,
    RecallDone,
    ReplyDone,
    TextDelta,
    ToolFinished,
    TurnStarted,
)
from agent.runtime import Runtime
from env.datasets import rows
from memory.errors import AttuneError
from memory.forgetting.erase import forget_conversation
from policies.adapters.files import AdapterError
from policies.win_rate import win_rate, win_rates
from tests.agent.scripted import Broken, call
from tests.agent.tui.kept import make_adapter
from tests.agent.turns import Make, done, kinds, said

# Which texts the two sides say: that of the adapter in use is drawn first.
ACTIVE, OTHER = "Tea is a drink.", "Tea? A plant, dried."


def learned(make_runtime: Make, *lines: Any, status: str = "promoted", **settings: Any) -> Runtime:
    """A home in which an adapter speaks."""
    runtime = make_runtime(*lines, **settings)
    runtime.use(make_adapter(runtime, status, {}))  # type: ignore[arg-type]
    return runtime


def asked(events: list) -> BlindReplies:
    return next(event for event in events if isinstance(event, BlindReplies))


def mixes(runtime: Runtime) -> list[tuple[str | None, ...]]:
    return runtime.policy.mixes  # type: ignore[attr-defined]


def choose(runtime: Runtime, adapter: str | None) -> None:
    """One blind turn, in which the reply of `adapter` is picked."""
    pair = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    first = runtime.journal.generation(pair.first.id).adapter == adapter
    runtime.choose(pair.first.id, pair.second.id, "first" if first else "second")


def test_both_replies_are_durable_before_they_are_shown(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER)
    events = []
    for event in runtime.loop.turn("What is tea?", blind=True):
        events.append(event)
        if isinstance(event, BlindReplies):
            made = [runtime.journal.generation(one.id) for one in (event.first, event.second)]
            assert {one.adapter for one in made} == {"v1", None}
            assert made[0].prompt_ids == made[1].prompt_ids
            assert made[0].messages == made[1].messages
            assert all(one.sampling["temperature"] == 0.7 and one.completion_ids for one in made)
    assert kinds(events) == [TurnStarted, RecallDone, BlindStarted, BlindReplies]
    assert mixes(runtime) == [("v1", None)]
    pair = asked(events)
    assert {pair.first.content, pair.second.content} == {ACTIVE, OTHER}
    assert [one.id for one in runtime.journal.siblings(pair.first.id)] == [pair.first.id, pair.second.id]
    head = runtime.journal.conversation(pair.first.conversation_id).head_id
    assert head is not None
    assert runtime.journal.generation(head).adapter == "v1"
    assert runtime.journal.feedback() == []


def test_what_is_forgotten_meanwhile_comes_back_with_neither(make_runtime: Make) -> None:
    runtime = learned(make_runtime, "Zquirlbat.", "It is Zquirlbat.")
    dog = runtime.recall.remember("My dog is called Zquirlbat.")
    events = []
    for event in runtime.loop.turn("What is my dog called?", blind=True):
        if isinstance(event, BlindStarted):
            runtime.forget(dog.id)
        events.append(event)
    pair = asked(events)
    assert {pair.first.content, pair.second.content} == {"(forgotten).", "It is (forgotten)."}
    for one in (pair.first, pair.second):
        assert "Zquirlbat" not in str(runtime.journal.generation(one.id))
    runtime.choose(pair.first.id, pair.second.id, "first")
    assert runtime.journal.ledger() == []


def test_a_crash_between_the_two_leaves_neither(make_runtime: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER)
    add, written = runtime.journal.add_reply, []

    def second_fails(*args: Any, **more: Any):
        if written:
            raise OSError("the disk is gone")
        written.append(add(*args, **more))
        return written[0]

    monkeypatch.setattr(runtime.journal, "add_reply", second_fails)
    events = list(runtime.loop.turn("What is tea?", blind=True))
    assert written
    assert not [event for event in events if isinstance(event, BlindReplies)]
    conversation = written[0].conversation_id
    assert [message.role for message in runtime.journal.messages(conversation)] == ["user"]


def test_the_order_is_drawn_for_every_turn_and_stays_drawn() -> None:
    drawn = [blind.active_is_second(f"talk{n}", turn) for n in range(200) for turn in range(1, 6)]
    assert 450 < sum(drawn) < 550
    assert drawn == [blind.active_is_second(f"talk{n}", turn) for n in range(200) for turn in range(1, 6)]


def test_the_first_shown_is_the_active_one_or_not_as_drawn(make_runtime: Make) -> None:
    runtime = learned(make_runtime, *[ACTIVE, OTHER] * 8)
    for _ in range(8):
        pair = asked(list(runtime.loop.turn("What is tea?", blind=True)))
        second = blind.active_is_second(pair.first.conversation_id, 1)
        assert (pair.second if second else pair.first).content == ACTIVE
    assert mixes(runtime) == [("v1", None)] * 8  # whatever the order on the screen


@pytest.mark.parametrize(("setting", "share"), [("off", 0), ("rare", 1 / 12), ("often", 1 / 3)])
def test_how_often_is_a_setting(setting: str, share: float) -> None:
    found = sum(blind.due(setting, f"talk{n}", turn) for n in range(600) for turn in range(1, 6))
    assert abs(found - 3000 * share) < 90  # more than three standard deviations
    assert found == sum(blind.due(setting, f"talk{n}", turn) for n in range(600) for turn in range(1, 6))


def test_the_turns_are_those_that_are_due(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER, *[f"Line {n}." for n in range(60)], blind="often")
    conversation = runtime.journal.start_conversation().id
    happened, wanted = [], []
    for turn in range(1, 13):
        wanted.append(blind.due("often", conversation, turn))
        events = list(runtime.loop.turn("What is tea?", conversation, blind=None))
        happened.append(BlindReplies in kinds(events))
    assert happened == wanted
    assert not any(BlindReplies in kinds(list(runtime.loop.turn("Tea?"))) for _ in range(12))


def test_the_setting_is_read_from_the_file(tmp_path: Any) -> None:
    assert Settings().blind == "rare"
    (tmp_path / "config.toml").write_text('blind = "off"\n', encoding="utf-8")
    assert load_settings(tmp_path).blind == "off"
    (tmp_path / "config.toml").write_text('blind = "always"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="blind to 'always'"):
        load_settings(tmp_path)


def test_the_base_alone_has_nothing_to_be_compared_with(make_runtime: Make) -> None:
    runtime = make_runtime(ACTIVE)
    events = list(runtime.loop.turn("What is tea?", blind=True))
    assert done(events).message.content == ACTIVE
    assert mixes(runtime) == []


def test_who_is_compared(make_runtime: Make) -> None:
    runtime = learned(make_runtime, *[ACTIVE, OTHER] * 6)
    waiting = make_adapter(runtime, "provisional", {})  # type: ignore[arg-type]
    make_adapter(runtime, "rejected", {})  # type: ignore[arg-type]
    list(runtime.loop.turn("Tea?", blind=True))
    runtime.use(None)
    list(runtime.loop.turn("Tea?", blind=True))
    runtime.use("v1")
    runtime.use(waiting)
    list(runtime.loop.turn("Tea?", blind=True))
    runtime.rollback()
    list(runtime.loop.turn("Tea?", blind=True))
    assert mixes(runtime) == [("v1", "v2"), (None, "v2"), ("v2", None), ("v1", None)]


def test_an_older_one_whose_trial_stayed_open_is_no_candidate(make_runtime: Make) -> None:
    """v1 was on trial when v2 took its place: v2 is compared with the base."""
    runtime = learned(make_runtime, ACTIVE, OTHER, status="provisional")
    runtime.use(make_adapter(runtime, "promoted", {}))  # type: ignore[arg-type]
    list(runtime.loop.turn("Tea?", blind=True))
    assert mixes(runtime) == [("v2", None)]


def test_what_was_trained_on_something_forgotten_is_not_shown(make_runtime: Make) -> None:
    runtime = learned(make_runtime, "Tea is green.", ACTIVE, OTHER)
    first = done(list(runtime.loop.turn("What colour is tea?")))
    runtime.rate(first.message.id, 1)
    make_adapter(runtime, "provisional", {})  # type: ignore[arg-type]
    forget_conversation(runtime.journal, first.message.conversation_id)
    list(runtime.loop.turn("Tea?", blind=True))
    assert mixes(runtime) == [("v1", None)]


def test_a_pick_is_one_event_a_pair_and_the_head(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER)
    pair = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    [event] = runtime.choose(pair.first.id, pair.second.id, "second")
    assert (event.kind, event.source, event.reply_id, event.other_id) == (
        "pick",
        "blind",
        pair.second.id,
        pair.first.id,
    )
    assert runtime.journal.conversation(pair.first.conversation_id).head_id == pair.second.id
    _, [trained] = rows(runtime.journal)
    assert (trained.chosen.text, trained.rejected.text) == (pair.second.content, pair.first.content)
    with pytest.raises(AttuneError, match="chosen between these two"):
        runtime.choose(pair.first.id, pair.second.id, "first")
    assert runtime.journal.feedback() == [event]


def test_alike_and_both_bad(make_runtime: Make) -> None:
    runtime = learned(make_runtime, *[ACTIVE, OTHER] * 2)
    alike = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    head = runtime.journal.conversation(alike.first.conversation_id).head_id
    runtime.choose(alike.first.id, alike.second.id, "alike")
    assert runtime.journal.signals() == []
    assert runtime.journal.conversation(alike.first.conversation_id).head_id == head
    bad = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    runtime.choose(bad.first.id, bad.second.id, "both bad")
    assert [(event.value, reply.id) for event, reply in runtime.journal.signals()] == [
        (-1, bad.first.id),
        (-1, bad.second.id),
    ]
    rate = win_rate(runtime.journal, "v1")
    assert (rate.wins, rate.losses, rate.alike, rate.both_bad) == (0, 0, 1, 1)
    assert rate.text == "v1 against base: no pick, not decided yet"
    with pytest.raises(AttuneError, match="chosen between these two"):
        runtime.choose(alike.first.id, alike.second.id, "first")


def test_replies_that_do_not_stand_beside_each_other_are_not_compared(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER)
    one = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    two = done(list(runtime.loop.turn("And coffee?")))
    for choice in ("first", "alike", "both bad"):
        with pytest.raises(AttuneError, match="same message"):
            runtime.choose(one.first.id, two.message.id, choice)  # type: ignore[arg-type]
    assert runtime.journal.feedback() == []


def test_ignoring_counts_as_nothing_and_the_talk_goes_on(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER, "With milk.")
    pair = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    after = done(list(runtime.loop.turn("How is it drunk?", pair.first.conversation_id)))
    assert [message.content for message in runtime.journal.path(after.message.id)][1] == ACTIVE
    assert win_rates(runtime.journal, "v1") == []
    assert runtime.journal.signals() == []


def test_the_win_rate_decides_and_then_nothing_is_compared(make_runtime: Make) -> None:
    runtime = learned(make_runtime, *[ACTIVE, OTHER] * 40, blind="often")
    for _ in range(7):
        choose(runtime, "v1")
    for _ in range(2):
        choose(runtime, None)
    assert win_rate(runtime.journal, "v1").text == "v1 against base: 7 of 9, not decided yet"
    assert win_rate(runtime.journal, None, "v1").text == "base against v1: 2 of 9, not decided yet"
    assert [rate.against for rate in win_rates(runtime.journal, "v1")] == [None]
    while win_rate(runtime.journal, "v1").decided is None:
        choose(runtime, "v1")
    rate = win_rate(runtime.journal, "v1")
    assert rate.decided == "better"
    assert rate.text.endswith(f"{rate.wins} of {rate.picks} when it was decided, better")
    asked_before = len(mixes(runtime))
    for _ in range(12):
        list(runtime.loop.turn("What is tea?", blind=None))
    assert len(mixes(runtime)) == asked_before


def test_a_pick_that_is_not_blind_does_not_count(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, OTHER)
    pair = asked(list(runtime.loop.turn("What is tea?", blind=True)))
    runtime.pick(pair.first.id, pair.second.id)
    assert win_rate(runtime.journal, "v1").picks == 0


@pytest.mark.parametrize("caller", ["active", "other"])
def test_a_tool_makes_it_an_ordinary_turn(make_runtime: Make, caller: str) -> None:
    counted = call("calculator", expression="12 * 7")
    lines = [counted, OTHER, "It is 84."] if caller == "active" else [ACTIVE, counted]
    runtime = learned(make_runtime, *lines)
    events = list(runtime.loop.turn("What is 12 times 7?", blind=True))
    reply = done(events)
    assert BlindReplies not in kinds(events)
    assert (ToolFinished in kinds(events)) is (caller == "active")
    assert said(events) == reply.message.content == ("It is 84." if caller == "active" else ACTIVE)
    assert reply.generation.adapter == "v1"
    assert len(runtime.journal.replies_of(reply.message.conversation_id)) == (2 if caller == "active" else 1)


def test_two_replies_that_say_the_same_are_one(make_runtime: Make) -> None:
    runtime = learned(make_runtime, ACTIVE, f" {ACTIVE}\n")
    events = list(runtime.loop.turn("What is tea?", blind=True))
    assert kinds(events)[2:] == [BlindStarted, TextDelta, ReplyDone]
    assert done(events).message.content == ACTIVE


def test_cancel_stops_both_and_keeps_what_the_active_one_said(make_runtime: Make) -> None:
    cancel = threading.Event()

    def stopped(messages: list[dict[str, Any]]) -> str:
        cancel.set()
        return "Never said."

    runtime = learned(make_runtime, stopped, OTHER)
    events = list(runtime.loop.turn("What is tea?", cancel=cancel, blind=True))
    reply = done(events)
    assert reply.generation.finish_reason == "cancelled"
    assert BlindReplies not in kinds(events)
    assert [one.id for one in runtime.journal.replies_of(reply.message.conversation_id)] == [reply.message.id]


def test_what_cannot_be_mixed_is_an_ordinary_turn_and_is_not_tried_again(make_runtime: Make) -> None:
    runtime = learned(make_runtime, Broken("", AdapterError("A DoRA adapter.")), ACTIVE)
    events = list(runtime.loop.turn("What is tea?", blind=True))
    assert done(events).message.content == ACTIVE
    assert done(list(runtime.loop.turn("What is tea?", blind=True))).message.content == ACTIVE
    assert mixes(runtime) == [("v1", None)]


def test_only_new_messages_are_compared(make_runtime: Make) -> None:
    runtime = learned(make_runtime, "One.", "Two.", "Three.", blind="often")
    first = done(list(runtime.loop.turn("What is tea?")))
    for _ in range(8):
        done(list(runtime.loop.regenerate(first.message.id)))
        done(list(runtime.loop.edit_user(str(first.message.parent_id), "Tea?")))
    assert mixes(runtime) == []
