"""The sum that orders memories, and what counts as the same said twice."""

import pytest

from memory.recall.ranking import (
    SPEAKER,
    SUBSTANCE,
    TIME,
    WORDS,
    Candidate,
    Question,
    candidates,
    matters,
    parts,
    substance,
)
from memory.recall.time_words import windows
from memory.records import Memory
from memory.statements.words import Asked, Print, collapse, said_by

DAY = 86_400.0
NOW = 1_700_000_000.0


def question(text: str) -> Question:
    return Question(Asked.of(text), windows(text, NOW), NOW)


def memory(text: str, **fields: object) -> Memory:
    return Memory("m", text, "fact", NOW - 1000 * DAY, **fields)  # type: ignore[arg-type]


FOUND = Candidate(similarity=0.5, words=0.5, near=3, text=1)


def test_every_part_has_its_name_and_nothing_else_counts() -> None:
    asked = question("What did Maria plant yesterday?")
    plain = parts(asked, memory("roses"), FOUND)
    assert plain == {"similarity": 0.5, "words": WORDS * 0.5}
    told = parts(asked, memory("roses", told_by="Maria", told_at=NOW - DAY), FOUND)
    assert told["speaker"] == SPEAKER
    assert told["time"] == TIME
    assert parts(asked, memory("roses", told_by="John"), FOUND) == plain


def test_small_talk_and_questions_of_a_conversation_count_less_than_statements() -> None:
    statement = "I planted twelve red roses behind the old house near the river bridge."
    assert substance(statement) > substance("How are you?")
    assert substance(statement) > substance(
        "Which twelve red roses behind the old house near the river bridge?"
    )
    turn = parts(question("roses?"), memory("Wow!", thread="a", position=1), FOUND)
    assert turn["substance"] == pytest.approx(SUBSTANCE * substance("Wow!"), abs=1e-4)
    assert turn["substance"] < 0
    assert "substance" not in parts(question("roses?"), memory("Wow!"), FOUND)  # a fact was worth saving


def test_when_and_by_whom_it_was_said_does_not_make_it_matter() -> None:
    asked = question("What did Maria plant yesterday?")
    near, far = memory("roses", told_by="Maria", told_at=NOW - DAY), memory("roses")
    assert matters(asked, near, FOUND, parts(asked, near, FOUND)) == matters(
        asked, far, FOUND, parts(asked, far, FOUND)
    )


def test_candidates_of_both_lists_are_ordered_by_meaning_and_words() -> None:
    found = candidates([("a", 0.6), ("b", 0.2)], [("c", 9.0), ("b", 4.5)], 10)
    assert found["a"] == Candidate(0.6, 0.0, 1, 0)
    assert found["b"] == Candidate(0.2, 0.5, 2, 2)
    assert found["c"] == Candidate(0.2, 1.0, 0, 1)  # no nearer than the last one that is
    assert found["c"].ranks == {"full text": 1}
    assert list(candidates([("a", 0.7), ("b", 0.2)], [("c", 9.0)], 2)) == ["a", "c"]
    assert candidates([], [], 5) == {}


def test_a_speaker_is_known_by_any_of_the_names() -> None:
    asked = Asked.of("What did Maria say?")
    assert said_by(asked, "Maria Lopez")
    assert not said_by(asked, "John")
    assert not said_by(asked, None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("My dog is called Fitzo.", "my dog is called Fitzo", True),
        ("I really love hiking in the mountains!", "I love hiking in mountains.", True),
        ("I like tea.", "I do not like tea.", False),
        ("My dog is called Fitzo.", "Her dog is called Fitzo.", False),
        ("The code of the door is 4711.", "The code of the door is 4712.", False),
        ("Lunch with Ann is at noon.", "Lunch with Bob is at noon.", False),
        ("I drink tea in the morning.", "I drink tea in the evening.", False),
    ],
)
def test_the_same_said_twice(one: str, other: str, same: bool) -> None:
    assert Print.of(one).alike(Print.of(other)) is same
    assert Print.of(other).alike(Print.of(one)) is same


def test_repeats_are_counted_for_the_best_of_them() -> None:
    texts = ["I like tea.", "I like coffee.", "I like tea", "i like tea!", "I like milk.", "I like rain."]
    assert collapse(texts, 3) == [(0, 2), (1, 0), (4, 0)]
    assert collapse(texts, 1) == [(0, 0)]
