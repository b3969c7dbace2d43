import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env import rewards
from env.people import Person
from memory.records import Feedback

NO_VALUE = 0


def event(kind: str, value: int = NO_VALUE, text: str | None = None, other_id: str | None = None) -> Feedback:
    return Feedback("f1", 1, "r1", kind, value, 0.0, text=text, other_id=other_id)


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (-1, -1.0), (0, 0.0), (None, 0.0)])
def test_a_thumb_is_its_sign_and_no_thumb_is_nothing(value, number):
    assert rewards.thumb(value) == number


def test_a_thumb_of_two_is_refused():
    with pytest.raises(ValueError, match="not 2"):
        rewards.thumb(2)


@pytest.mark.parametrize(
    ("before", "after", "number"),
    [
        ("Cats sleep a lot.", "Cats sleep a lot.", 1.0),
        ("Cats sleep, a lot.", "cats sleep a\nlot.", 1.0),  # case, commas and white space are no change
        ("Cats sleep a lot", "Cats sleep. A lot.", 0.6),  # 2 * 4 kept of 4 words and 4 words and 2 stops
        ("Cats sleep.", "Dogs bark!", -1.0),
        ("one two three four", "one two", 1 / 3),  # 2 * 2 kept of 6 words
        ("", "", 1.0),
        ("One. Two.", "- One.\n- Two.", 0.6),  # 2 * 4 kept of 4 words and stops and as many with 2 markers
        ("Cats sleep.", "Cats sleep. 😊", 5 / 7),
        ("Cats sleep!", "Cats sleep!!", 1 / 3),
        ("I can't.", "I can\u2019t.", 1.0),
        ("7 + 5 = 12", "7 - 5 = 12", 0.6),  # 2 * 4 kept of 5 and 5
        ("x < y", "x > y", 1 / 3),
        ("**Bold** text", "Bold text", 1 / 3),
        ("Call __init__ now", "Call init now", 0.5),  # 2 * 3 kept of 5 and 3, as runs of one sign are one
    ],
)
def test_an_edit_is_worth_what_it_kept(before, after, number):
    assert rewards.edit(before, after) == pytest.approx(number)


def test_a_disliked_reply_that_was_only_cut_into_sentences_earns_less_than_one_left_as_it_is():
    reply = "Cats sleep a lot\nCats hunt at dusk\nCats see in dim light\nCats keep warm"
    person = Person("detailed", habit="edits")
    better = person.respond("What are cats?", reply).edit
    assert better == "Cats sleep a lot. Cats hunt at dusk. Cats see in dim light. Cats keep warm."
    assert 0.0 < rewards.edit(reply, better) < 1.0
    assert rewards.edit(better, better) == 1.0


def test_more_editing_is_never_worth_more():
    reply = "Tea is made from leaves that are dried and rolled"
    cut = [rewards.edit(reply, " ".join(reply.split()[:n])) for n in range(10, 0, -1)]
    assert cut == sorted(cut, reverse=True)
    assert cut[0] == 1.0


def test_reward_reads_each_kind_of_event_for_the_reply_it_is_about():
    assert rewards.reward(event("thumb", -1), "r1") == -1.0
    assert rewards.reward(event("thumb", -1), "r2") == 0.0
    assert rewards.reward(event("edit", 1, text="new words"), "r1", "old things") == -1.0
    picked = event("pick", 1, other_id="r2")
    assert [rewards.reward(picked, reply) for reply in ("r1", "r2", "r3")] == [1.0, -1.0, 0.0]


TEXTS = st.text(st.sampled_from("ab cd.!?-*\n1😊"), max_size=40) | st.text(max_size=40)
IDS = st.sampled_from(["r1", "r2", "r3"])
EVENTS = (
    st.builds(lambda value: event("thumb", value), st.sampled_from([-1, 0, 1]))
    | st.builds(lambda text: event("edit", 1, text=text), TEXTS)
    | st.builds(lambda other: event("pick", 1, other_id=other), st.sampled_from(["r2", "r3"]))
)


@settings(deadline=None)
@given(before=TEXTS, after=TEXTS)
def test_an_edit_is_worth_at_most_what_leaving_it_is(before, after):
    assert -1.0 <= rewards.edit(before, after) <= 1.0
    assert rewards.edit(before, before) == 1.0


VISIBLE = st.text("ab1_*+-.!?'#\u2019😊 \n", max_size=12)


@settings(deadline=None)
@given(before=VISIBLE, after=VISIBLE)
def test_whatever_is_seen_to_change_is_a_change(before, after):
    def seen(text):
        # apostrophes and dashes that open a line may change their shape, and white space its amount
        return "".join(re.sub(r"(?m)^\s*[-*]+(?=\s)", "\u2022", text.replace("\u2019", "'")).split())

    assert seen(before) == seen(after) or rewards.edit(before, after) < 1.0


@settings(deadline=None)
@given(words=st.lists(st.sampled_from(["one", "two", "three", "four"]), min_size=1), kept=st.integers(0, 30))
def test_keeping_more_words_is_worth_more(words, kept):
    more, less = " ".join(words[: kept + 1]), " ".join(words[:kept])
    assert rewards.edit(" ".join(words), less) <= rewards.edit(" ".join(words), more)


@settings(deadline=None)
@given(one=IDS, other=IDS, first=st.booleans())
def test_a_pick_is_antisymmetric(one, other, first):
    chosen = one if first else other
    if one != other:
        assert rewards.pick(one, chosen) == -rewards.pick(other, chosen)
    assert abs(rewards.pick(one, chosen)) == 1.0


@settings(deadline=None)
@given(told=EVENTS, reply_id=IDS, text=TEXTS)
def test_every_reward_lies_between_minus_one_and_one(told, reply_id, text):
    worth = rewards.reward(told, reply_id, text)
    assert -1.0 <= worth <= 1.0
    assert worth == 0.0 or reply_id in (told.reply_id, told.other_id)


@settings(deadline=None)
@given(other=st.sampled_from(["r2", "r3"]))
def test_what_a_pick_gives_the_one_it_takes_from_the_other(other):
    picked = event("pick", 1, other_id=other)
    assert rewards.reward(picked, "r1") + rewards.reward(picked, other) == 0.0


@settings(deadline=None)
@given(value=st.sampled_from([None, -1, 0, 1]), before=TEXTS, after=st.none() | TEXTS)
def test_a_thumb_says_more_than_an_edit_and_silence_says_nothing(value, before, after):
    worth = rewards.response(value, before, after)
    assert -1.0 <= worth <= 1.0
    if value:
        assert worth == value
    elif after is None:
        assert worth == 0.0
    else:
        assert worth == rewards.edit(before, after)
