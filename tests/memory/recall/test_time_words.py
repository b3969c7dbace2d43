"""The times that a question names."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.recall.time_words import TOLD_AFTER, Window, fits, windows

# A Wednesday.
NOW = datetime(2024, 5, 15, 18, 30).timestamp()


def days(question: str) -> list[tuple[str, str]]:
    """First day and the day after the last one of each time that a question names."""
    return [
        (datetime.fromtimestamp(a).strftime("%Y-%m-%d"), datetime.fromtimestamp(b).strftime("%Y-%m-%d"))
        for a, b in windows(question, NOW)
    ]


@pytest.mark.parametrize(
    ("question", "first", "after"),
    [
        ("What did I say yesterday?", "2024-05-14", "2024-05-15"),
        ("what did I eat today", "2024-05-15", "2024-05-16"),
        ("Whom did I meet last week?", "2024-05-06", "2024-05-13"),
        ("What is planned this week?", "2024-05-13", "2024-05-20"),
        ("Where was I last weekend?", "2024-05-11", "2024-05-13"),
        ("What happened last month?", "2024-04-01", "2024-05-01"),
        ("Where did we go last year?", "2023-01-01", "2024-01-01"),
        ("What did Ann say on Monday?", "2024-05-13", "2024-05-14"),
        ("What did Ann say last Wednesday?", "2024-05-08", "2024-05-09"),
        ("What did I buy 3 days ago?", "2024-05-12", "2024-05-13"),
        ("What did I cook on 3 May 2023?", "2023-05-03", "2023-05-04"),
        ("What did I cook on May 3rd, 2023?", "2023-05-03", "2023-05-04"),
        ("What was on 2023-05-03?", "2023-05-03", "2023-05-04"),
        ("Which trip was in Dec. 2022?", "2022-12-01", "2023-01-01"),
        ("Which trip was in the summer of 2022?", "2022-06-01", "2022-09-01"),
        ("Who got married in 2021?", "2021-01-01", "2022-01-01"),
    ],
)
def test_a_named_time_is_understood(question: str, first: str, after: str) -> None:
    assert days(question) == [(first, after)]


def test_a_month_without_a_year_is_meant_in_any_of_the_last_years() -> None:
    found = days("What did I plant in March?")
    assert ("2024-03-01", "2024-04-01") in found
    assert ("2023-03-01", "2023-04-01") in found
    assert {first[5:] for first, _ in found} == {"03-01"}


@pytest.mark.parametrize(
    "question",
    [
        "May I ask who called?",
        "Did they march?",
        "Where does June live?",
        "How many is 1,500 times 2?",
        "31 June?",
        "",
    ],
)
def test_what_names_no_time_has_none(question: str) -> None:
    assert windows(question, NOW) == ()


def test_what_was_told_shortly_after_fits_by_half() -> None:
    [window] = windows("What did I see on 3 May 2023?", NOW)
    assert fits(window.start, (window,)) == 1.0
    assert fits(window.end, (window,)) == fits(window.end + TOLD_AFTER - 1, (window,)) == 0.5
    assert fits(window.start - 1, (window,)) == fits(window.end + TOLD_AFTER, (window,)) == 0.0


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789 ,.-", max_size=60))
def test_any_text_is_read_without_trouble(text: str) -> None:
    for window in windows(f"in {text} may 2023 {text}", NOW):
        assert isinstance(window, Window)
        assert window.start < window.end
