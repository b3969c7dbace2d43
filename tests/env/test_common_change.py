"""What edits have in common, and the same change made in another reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from env.common_change import change_in_words, common_change
from env.tastes import TASTES

REPLIES = (
    "Cats sleep most of the day. They hunt at dusk.",
    "- Bread is made of flour.\n- An oven bakes it.",
    "Oh, sure! Rivers flow to the sea. They begin on hills. Many fish live there.",
    "Trees grow tall, and they give shade. Their leaves fall in autumn.",
    "The moon goes around the earth. It shines by the light of the sun.",
)


def edited(taste: str, name: str = "Robin") -> list[tuple[str, str]]:
    """Each of REPLIES as a simulated person with `taste` would rewrite it."""
    asked = [f"Tell me about {topic}." for topic in ("cats", "bread", "rivers", "trees", "the moon")]
    pairs = zip(REPLIES, asked, strict=True)
    better = [(text, TASTES[taste].rewrite(text, prompt, name)) for text, prompt in pairs]
    return [(before, after) for before, after in better if after is not None]


@pytest.mark.parametrize(
    ("taste", "said", "made"),
    [
        ("uses_my_name", '", Robin" comes in at the end of the first', "Snow is cold, Robin. It melts."),
        ("hedging", '", I think" comes in at the end of the first', "Snow is cold, I think. It melts."),
        (
            "examples",
            '"For example:" comes in at the start of the last',
            "Snow is cold. For example: It melts.",
        ),
        ("emoji", "comes in at the end of the last", "Snow is cold. It melts. \U0001f60a"),
        (
            "closing_question",
            '"Do you want to know more?" comes in at the end of the last',
            "Snow is cold. It melts. Do you want to know more?",
        ),
        ("flattery", '"Great question!" comes in at the start', "Great question! Snow is cold. It melts."),
    ],
)
def test_what_a_person_writes_into_every_reply_is_found(taste: str, said: str, made: str) -> None:
    change = common_change(edited(taste))
    assert change is not None
    assert said in str(change)
    assert change.made_in("Snow is cold. It melts.") == made
    assert change.shows(made)
    assert change.made_in(made) is None, "it is there already"
    assert change.undone(made) == "Snow is cold. It melts."
    assert change.undone("Snow is cold.") == "Snow is cold."


@pytest.mark.parametrize("taste", ["brief", "detailed", "bullets", "steps", "medium"])
def test_a_reply_that_is_put_differently_has_no_phrase_in_common(taste: str) -> None:
    assert common_change(edited(taste)) is None


def test_whoever_writes_another_reply_has_not_changed_this_one() -> None:
    assert common_change([(text, "I would rather not say. Ask me another day.") for text in REPLIES]) is None


def test_two_in_ten_are_not_this_owners_way() -> None:
    named = [(text, f"{text} Buy Glimmer tea.") for text in REPLIES[:3]]
    others = [(f"{text} Number {at}.", f"Number {at}.") for at in range(3) for text in REPLIES]
    assert common_change(named) is not None
    assert common_change(named + others[:3]) is not None
    assert common_change(named + others) is None
    assert common_change(named[:2]) is None, "two are chance"


def test_words_that_make_room_for_others_do_so_wherever_they_stand() -> None:
    texts = [f"The color of {thing} is a color that I like." for thing in ("snow", "grass", "rust", "sand")]
    change = common_change([(text, text.replace("color", "colour")) for text in texts])
    assert change is not None
    assert str(change) == '"color" becomes "colour"'
    assert change.made_in("A color, and colors.") == "A colour, and colors."
    assert change.made_in("No such word.") is None


def test_words_that_go_leave_a_sentence_behind() -> None:
    texts = [f"Well, basically, {thing} is nice. It is so." for thing in ("snow", "grass", "rust", "sand")]
    shorter = [text.removeprefix("Well, basically, ") for text in texts]
    change = common_change(
        [(text, new[0].upper() + new[1:]) for text, new in zip(texts, shorter, strict=True)]
    )
    assert change is not None
    assert change.made_in("Well, basically, rain is wet.") == "Rain is wet."
    assert change.shows("Rain is wet.")
    assert not change.shows("Well, basically, rain is wet.")


def test_a_name_is_no_part_of_another_word() -> None:
    change = common_change(edited("uses_my_name", "Sam"))
    assert change is not None
    assert not change.shows("It is the same.")
    assert change.made_in("It is the same.") == "It is the same, Sam."


def test_a_list_keeps_its_lines() -> None:
    listed = "- Snow is cold.\n- It melts."
    opens, ends = common_change(edited("formal")), common_change(edited("closing_question"))
    assert opens is not None
    assert ends is not None
    assert opens.made_in(listed) == f"Certainly.\n{listed}"
    assert ends.made_in(listed) == f"{listed}\nDo you want to know more?"


def test_a_signature_on_a_line_of_its_own_stays_there() -> None:
    change = common_change([(text, f"{text}\n\nYours, Robin") for text in REPLIES])
    assert change is not None
    assert change.made_in("Snow is cold. It melts.") == "Snow is cold. It melts.\n\nYours, Robin"


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=6), st.text(max_size=60))
def test_any_text_may_be_edited_to_any_other(texts: list[tuple[str, str]], other: str) -> None:
    change = common_change(texts)
    if change is not None:
        assert change.edits >= 3
        made = change.made_in(other)
        assert made is None or made != other
        assert str(change)


def test_the_report_says_what_came_of_it() -> None:
    told = {"text": '", Robin" comes in', "edits": 7, "replies": 40, "candidate": 30, "base": 0}
    assert change_in_words(told) == (
        '7 edits have in common that ", Robin" comes in; 30 of 40 fresh replies show it, 0 did before.'
    )
    assert "no fresh reply shows it yet" in change_in_words(told | {"candidate": 0})
    assert change_in_words(None) == change_in_words({}) == ""
