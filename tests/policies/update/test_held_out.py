"""The gate's split: half by time, half by conversation, and nothing on both sides."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env.datasets import Prompt, Reply, Unpaired
from env.splits import split
from policies.update.held_out import hold_out, hold_out_telling


def row(number: int, conversation: str, question: str, liked: bool) -> Unpaired:
    messages = ({"role": "user", "content": question},)
    return Unpaired(
        prompt=Prompt(messages, question, (), "tiny"),
        completion=Reply(f"Reply {number}."),
        label=liked,
        reply_id=f"r{number}",
        conversation_id=conversation,
        created_at=float(number),
        feedback_ids=(f"f{number}",),
    )


def ledger(count: int, size: int = 2) -> list[Unpaired]:
    """`count` ratings in conversations of `size`, every question asked once."""
    return [row(at, f"c{at // size}", f"question {at}", at % 2 == 0) for at in range(count)]


def test_half_of_what_is_held_out_is_newer_than_all_that_is_trained_on() -> None:
    train, held = hold_out(ledger(40), 0.2)
    assert len(train) + len(held) == 40
    assert 6 <= len(held) <= 8
    newest = max(each.created_at for each in train)
    assert [each.reply_id for each in held if each.created_at > newest] == ["r36", "r37", "r38", "r39"]
    assert any(each.created_at < 36 for each in held)


def test_the_newest_conversation_is_held_out_for_its_time_even_if_it_is_most_of_what_is() -> None:
    train, held = hold_out(ledger(40, size=5), 0.2)
    newest = max(each.created_at for each in train)
    assert [each.reply_id for each in held if each.created_at > newest] == [f"r{at}" for at in range(35, 40)]
    _, held = hold_out([*ledger(55), *(row(at, "last", f"question {at}", True) for at in range(55, 62))], 0.2)
    assert {each.reply_id for each in held} > {f"r{at}" for at in range(55, 62)}, "what is left is drawn"


@pytest.mark.parametrize("count", [3, 8, 16, 17, 40, 61])
def test_conversations_of_one_rating_are_halved_as_ever(count: int) -> None:
    rows = ledger(count, size=1)
    want = round(count * 0.2)
    late = rows[count - want // 2 :]
    early = rows[: count - want // 2]
    train, drawn = split(early, (want - len(late)) / len(early))
    assert hold_out(rows, 0.2) == (train, [*drawn, *late])


def test_a_new_conversation_that_repeats_an_old_question_is_not_held_out_for_its_time() -> None:
    rows = [*ledger(38), row(38, "again", "question 0", True), row(39, "again", "question 1", False)]
    train, held = hold_out(rows, 0.2)
    sides = [{each.prompt.question for each in side} for side in (train, held)]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(("talks", "size"), [(10, 10), (20, 5), (10, 6), (30, 4)])
def test_conversations_that_are_mostly_follow_ups_are_not_thrown_away(talks: int, size: int) -> None:
    rows = [
        row(at, f"c{at // size}", "go on" if at % size % 2 else "why?", at % 3 > 0) if at % size
        else row(at, f"c{at // size}", f"question {at}", at % 3 > 0)
        for at in range(talks * size)
    ]  # fmt: skip
    train, held = hold_out(rows, 0.2)
    assert held
    assert len(train) >= 0.7 * len(rows)


@pytest.mark.parametrize(("talks", "questions"), [(8, 5), (5, 8)])
def test_the_same_questions_in_every_conversation_are_held_out_by_question(
    talks: int, questions: int
) -> None:
    rows = [
        row(at, f"c{at // questions}", f"question {at % questions}", at % 3 > 0)
        for at in range(talks * questions)
    ]
    train, held = hold_out(rows, 0.2)
    assert len(train) + len(held) == len(rows)
    assert held
    assert not {each.prompt.question for each in train} & {each.prompt.question for each in held}


@pytest.mark.parametrize("seed", range(6))
def test_words_that_are_said_everywhere_do_not_tie_conversations_together(seed: int) -> None:
    chance = random.Random(seed)
    generic = ("go on", "thanks", "why?")
    rows = [
        row(
            at,
            f"c{at // 4}",
            chance.choice(generic) if at % 4 and chance.random() < 0.4 else f"q {at}",
            at % 3 > 0,
        )
        for at in range(80)
    ]
    train, held = hold_out(rows, 0.2)
    assert len(held) >= 8
    assert len(train) >= 56
    assert not {each.conversation_id for each in train} & {each.conversation_id for each in held}
    assert not {each.prompt.question for each in train} & {each.prompt.question for each in held}
    newest = max(each.created_at for each in train)
    assert any(each.created_at > newest for each in held), "nothing of it is newer than the training"


def test_one_conversation_alone_is_never_held_out_whole() -> None:
    train, held = hold_out(ledger(20, size=20), 0.2)
    assert len(train) >= 15
    assert held


def two_of_each(held: Sequence[Unpaired]) -> bool:
    liked = sum(each.label for each in held)
    return liked >= 2 and len(held) - liked >= 2


@pytest.mark.parametrize("count", [24, 40, 64])
@pytest.mark.parametrize("size", [1, 4, 8, 12, 16, 20, 64])
@pytest.mark.parametrize("seed", range(3))
def test_something_that_tells_is_held_out_however_long_conversations_are(
    count: int, size: int, seed: int
) -> None:
    liked = [at % 5 < 2 for at in range(count)]
    random.Random(seed).shuffle(liked)
    rows = [row(at, f"c{at // size}", f"question {at}", liked[at]) for at in range(count)]
    train, held = hold_out_telling(rows, 0.2, two_of_each)
    assert two_of_each(held)
    assert len(held) <= 0.35 * count
    assert not {each.prompt.question for each in train} & {each.prompt.question for each in held}
    assert (train, held) == hold_out_telling(rows, 0.2, two_of_each)


def test_where_whole_conversations_tell_they_are_kept_apart() -> None:
    rows = ledger(40)
    assert hold_out_telling(rows, 0.2, two_of_each) == hold_out(rows, 0.2)


def test_of_single_questions_the_newest_are_among_what_is_held_out() -> None:
    rows = ledger(40, size=20)
    train, held = hold_out_telling(rows, 0.2, two_of_each)
    assert [each.reply_id for each in held][-4:] == ["r36", "r37", "r38", "r39"]
    assert len(train) + len(held) == 40


def test_what_never_tells_is_all_trained_on() -> None:
    rows = [row(at, f"c{at // 8}", f"question {at}", at == 0) for at in range(24)]
    assert hold_out_telling(rows, 0.2, two_of_each) == (rows, [])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30), st.booleans()), min_size=1, max_size=60),
    st.floats(0.0, 0.5),
)
def test_nothing_leaks_and_nothing_is_lost_but_repeated_questions(
    told: list[tuple[int, int, bool]], fraction: float
) -> None:
    rows = [
        row(at, f"c{talk}", f"question {question}", liked) for at, (talk, question, liked) in enumerate(told)
    ]
    train, held = hold_out(rows, fraction)
    ids = [each.reply_id for each in rows]
    used = [each.reply_id for each in (*train, *held)]
    assert len(used) == len(set(used))
    talks, questions = (
        {each.conversation_id for each in held},
        [each.prompt.question for each in rows],
    )
    for each in rows:
        if each.reply_id not in used:
            assert questions.count(each.prompt.question) > 1
            assert each.conversation_id in talks
    assert set(used) <= set(ids)
    assert not {each.prompt.question for each in train} & {each.prompt.question for each in held}
    assert (train, held) == hold_out(rows, fraction)
    for side in (train, held):
        assert [each.created_at for each in side] == sorted(each.created_at for each in side)
