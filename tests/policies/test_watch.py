"""An adapter on trial: which thumbs count, and when they decide."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from memory.records import Adapter, Feedback, Generation, Message
from policies.watch import outdated, trial

ADAPTER = Adapter("v2", "sprout", "0" * 64, "kto", "provisional", "f" * 64, 0.0, "")
Entry = tuple[Feedback, Message, Generation]


def thumbs(
    marks: str,
    adapter: str | None,
    base: str = "sprout",
    kind: str = "thumb",
    reply: str = "r",
    card: tuple[str, ...] = (),
) -> list[Entry]:
    """One entry for each of `marks`, "+" or "-", all on one reply under the lines of `card`."""
    return [
        (
            Feedback("f", 0, reply, kind, 1 if mark == "+" else -1, 0.0),  # type: ignore[arg-type]
            Message(reply, "c", None, "assistant", "Tea.", 0.0),
            Generation(reply, base, adapter, (), "", (), (), {}, card_lines=card),
        )
        for mark in marks
    ]


def test_worse_than_before_is_decided_after_four_thumbs() -> None:
    before = thumbs("++++++", None)
    assert trial(ADAPTER, before + thumbs("---", "v2"), {}).decided is None
    seen = trial(ADAPTER, before + thumbs("----", "v2"), {})
    assert seen.decided == "worse"
    assert seen.e_worse >= 20
    assert seen.text == "0 of 4 replies under it were liked, 6 of 6 before"


def test_better_than_before_is_decided_too() -> None:
    seen = trial(ADAPTER, thumbs("+-------", "v1") + thumbs("++++++", "v2"), {})
    assert seen.decided == "better"
    assert seen.to_json()["before"] == [1, 8]
    assert seen.to_json()["under"] == [5, 5], "it stops at the thumb that decides"


BRIEF, BULLETS = ("Keep replies brief.",), ("Use bullet points.",)


def test_what_a_new_line_of_the_card_made_better_is_no_merit_of_the_adapter() -> None:
    before, under = thumbs("+-------" * 3, None), thumbs("+" * 30, "v2", card=BRIEF)
    seen = trial(ADAPTER, before + under, {})
    assert (seen.decided, seen.e_better) == (None, 1.0)
    assert (seen.under, seen.before) == ((30, 30), (3, 24))
    alike = thumbs("+----", "v1", card=BRIEF)
    seen = trial(ADAPTER, before + alike + under, {}, ["v1"])
    assert (seen.decided, seen.before) == ("better", (1, 5))
    assert trial(ADAPTER, thumbs("+" * 8, None) + thumbs("----", "v2", card=BRIEF), {}).decided == "worse"


def test_evidence_under_different_lines_adds_up() -> None:
    brief = thumbs("+---", "v1", card=BRIEF) + thumbs("+++", "v2", card=BRIEF)
    bullets = thumbs("+---", "v1", card=BULLETS) + thumbs("+++", "v2", card=BULLETS)
    alone = [trial(ADAPTER, some, {}).e_better for some in (brief, bullets)]
    both = trial(ADAPTER, brief + bullets, {})
    assert both.e_better == pytest.approx(alone[0] * alone[1])
    assert (both.under, both.before) == ((6, 6), (2, 8))


def test_lines_that_changed_at_the_swap_hardly_ever_promote() -> None:
    """Half of the replies of either time are under the new line; the adapter has no effect at all."""
    dice, promoted = random.Random(4), 0
    for _ in range(200):
        ledger = []
        for adapter, count, share in ((None, 24, 0.25), ("v2", 24, 0.75)):
            for _ in range(count):
                card = BRIEF if dice.random() < share else ()
                liked = dice.random() < (0.9 if card else 0.3)
                ledger += thumbs("+" if liked else "-", adapter, card=card)
        promoted += trial(ADAPTER, ledger, {}).decided == "better"
    assert promoted <= 10


def test_a_bad_one_after_a_good_one_is_measured_by_the_good_one() -> None:
    """In the pool of all, the thumbs down of the bare base would hide it."""
    base, good = thumbs("------++" * 4, None), thumbs("+" * 15 + "-", "v1")
    seen = trial(ADAPTER, base + good + thumbs("-----", "v2"), {}, ["v1"])
    assert (seen.decided, seen.under, seen.before) == ("worse", (0, 4), (15, 16))
    assert trial(ADAPTER, base + good + thumbs("-----", "v2"), {}).decided is None, "it followed the base"


def test_a_line_of_good_ones_says_more_than_the_last_of_them() -> None:
    """An update comes every eight signals: what a trial is measured by would be eight thumbs for ever."""
    good = [entry for version in ("v4", "v5", "v6") for entry in thumbs("+++-++++", version)]
    seventh, under = replace(ADAPTER, version="v7"), thumbs("-+----", "v7")
    seen = trial(seventh, good + under, {}, ["v6", "v5", "v4"])
    assert (seen.decided, seen.under, seen.before) == ("worse", (1, 6), (21, 24))
    alone = trial(seventh, good + under, {}, ["v6"])
    assert (alone.decided, alone.before) == (None, (7, 8))


def test_a_bad_one_in_the_line_does_not_hide_what_is_worse_than_the_last() -> None:
    line = thumbs("-" * 8, "v1") + thumbs("+" * 8, "v2")
    third = replace(ADAPTER, version="v3")
    seen = trial(third, line + thumbs("-----", "v3"), {}, ["v2", "v1"])
    assert (seen.decided, seen.before) == ("worse", (8, 8))


def test_a_line_of_equals_is_hardly_ever_cut() -> None:
    dice, cut = random.Random(6), 0
    for _ in range(300):
        ledger = [
            entry
            for version in ("v1", "v3", "v4", "v2")
            for entry in thumbs("".join("+" if dice.random() < 0.8 else "-" for _ in range(8)), version)
        ]
        cut += trial(ADAPTER, ledger, {}, ["v4", "v3", "v1"]).decided == "worse"
    assert cut <= 15


def test_better_than_all_is_not_enough_while_the_one_before_looks_better() -> None:
    base, good, under = thumbs("-" * 60, None), thumbs("+" * 10, "v1"), thumbs("++-" * 4, "v2")
    assert trial(ADAPTER, base + under, {}).decided == "better"
    seen = trial(ADAPTER, base + good + under, {}, ["v1"])
    assert seen.decided is None
    assert seen.e_better > 20
    assert seen.behind
    assert (seen.under, seen.before) == ((8, 12), (10, 10))


def test_one_that_hardly_spoke_is_no_measure() -> None:
    base, under = thumbs("+" * 20, None), thumbs("----", "v2")
    seen = trial(ADAPTER, base + thumbs("--", "v1") + under, {}, ["v1"])
    assert (seen.decided, seen.before) == ("worse", (20, 22))


def test_as_good_as_before_stays_open() -> None:
    assert trial(ADAPTER, thumbs("++-+" * 6, None) + thumbs("++-+" * 6, "v2"), {}).decided is None
    assert trial(ADAPTER, [], {}).decided is None
    assert trial(ADAPTER, thumbs("----------", "v2"), {}).decided is None, "there is nothing to be worse than"


def test_only_thumbs_on_the_same_base_count() -> None:
    other = thumbs("++++++", None, base="another") + thumbs("----", "v2", base="another")
    assert trial(ADAPTER, other, {}).before == (0, 0)


def test_a_reply_that_is_edited_is_one_that_is_disliked_once() -> None:
    before = thumbs("++++++++", None)
    edits = [entry for at in range(4) for entry in thumbs("-", "v2", kind="edit", reply=f"e{at}")]
    seen = trial(ADAPTER, before + edits, {})
    assert (seen.decided, seen.under) == ("worse", (0, 4))
    again = trial(ADAPTER, before + edits[:1] * 6, {})
    assert (again.decided, again.under) == (None, (0, 1)), "edited until it was right"
    liked = [entry for at in range(4) for entry in thumbs("+", "v2", reply=f"e{at}")]
    assert trial(ADAPTER, before + edits + liked, {}).under == (4, 4), "the thumb says what the edit was"


def test_a_pick_between_two_adapters_is_a_thumb_on_each() -> None:
    before = thumbs("++++++++", None)
    picks, lost = [], {}
    for at in range(6):
        [(event, reply, generation)] = thumbs("+", None, kind="pick", reply=f"w{at}")
        picks.append((replace(event, other_id=f"l{at}"), reply, generation))
        lost[f"l{at}"] = replace(generation, reply_id=f"l{at}", adapter="v2")
    seen = trial(ADAPTER, before + picks, {}, lost=lost)
    assert (seen.decided, seen.under) == ("worse", (0, 4))
    same = {key: replace(one, adapter=None) for key, one in lost.items()}
    assert trial(ADAPTER, before + picks, {}, lost=same).before == (8, 8), "of one adapter they say nothing"
    blind = [(replace(event, source="blind"), reply, generation) for event, reply, generation in picks]
    assert trial(ADAPTER, before + blind, {}, lost=lost).under == (0, 0), "those have a test of their own"


def test_what_decided_stays_decided_whatever_came_later() -> None:
    worse = thumbs("++++++++", None) + thumbs("-----", "v2")
    assert trial(ADAPTER, worse + thumbs("+" * 40, "v2"), {}).decided == "worse"


def test_thumbs_of_a_taste_that_is_gone_are_no_measure_for_the_next() -> None:
    old, since = thumbs("+" * 30, "v1", reply="old"), thumbs("----", "v1", reply="new")
    under = thumbs("----", "v2", reply="newest")
    assert trial(ADAPTER, old + since + under, {}).decided == "worse"
    faded = {"old": 0.02, "new": 0.9, "newest": 1.0}
    seen = trial(ADAPTER, old + since + under, faded)
    assert (seen.decided, seen.before, seen.under) == (None, (0, 4), (0, 4))


def test_an_adapter_is_outdated_when_what_it_learned_has_faded_but_for_the_newest() -> None:
    """The last replies of the old taste are never sure to be of it."""
    learned = [f"r{at}" for at in range(24)]
    adapter = replace(ADAPTER, report={"trained_on": {"replies": learned}})
    faded = dict.fromkeys(learned, 0.01)
    assert outdated(adapter, faded | {"r22": 0.1, "r23": 0.4, "new": 1.0})
    assert not outdated(adapter, faded | dict.fromkeys(learned[18:], 0.6))
    assert not outdated(adapter, dict.fromkeys(learned, 1.0))
    assert not outdated(adapter, {"new": 1.0}), "nothing is known of what it learned"


def test_an_early_lead_under_another_line_of_the_card_excuses_nothing() -> None:
    """More of it was liked than before, no promotion came of that, and then nothing was liked any more."""
    before = thumbs("+-" * 20, None)
    early = before + thumbs("+" * 12, "v2", card=BRIEF)
    assert trial(ADAPTER, early, {}).decided is None
    seen = trial(ADAPTER, early + thumbs("-" * 120, "v2", card=BRIEF), {})
    assert seen.decided == "worse"
    assert seen.under[1] < 100
