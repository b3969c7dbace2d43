"""The gate and held-out ratings: by conversation, by time, and how many it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.gate.verdict import (
    HeldOut,
    held_out,
    judge,
)
from tests.policies.gate_cases import PROVEN, stats


def talked(rows: tuple[HeldOut, ...], conversations: int) -> tuple[HeldOut, ...]:
    return tuple(replace(row, conversation=f"c{at % conversations}") for at, row in enumerate(rows))


def test_replies_of_one_conversation_promote_nothing() -> None:
    verdict = judge(stats(held_out=talked(PROVEN, 1)))
    assert (verdict.status, verdict.finding) == ("provisional", "provisional")
    assert "of one conversation" in verdict.reasons[0]
    assert judge(stats(held_out=talked(PROVEN, 8))).status == "promoted"
    assert judge(stats(held_out=talked(PROVEN, 8))).held_out["conversations"] == 8


def test_the_verdict_says_where_nothing_held_out_is_newer_than_the_training() -> None:
    told = talked(PROVEN, 8)
    says = "There is no split by time"
    assert judge(stats(held_out=told)).reasons[1].startswith(says)
    newer = (*told[:-1], replace(told[-1], later=True))
    for rows in (newer, PROVEN, ()):
        assert not any(reason.startswith(says) for reason in judge(stats(held_out=rows)).reasons)


def test_a_mood_of_a_conversation_is_counted_once() -> None:
    """Eight replies in eight conversations tell more than the same eight in four."""
    noise = (0.0, 0.2, 1.5, 1.3)
    rows = tuple(HeldOut(at % 2 == 0, 0.0, (1.2 if at % 2 == 0 else 0.0) + noise[at // 2]) for at in range(8))

    def width(conversations: list[str]) -> float:
        told = [replace(row, conversation=name) for row, name in zip(rows, conversations, strict=True)]
        figures = held_out(told)
        return float(figures["margin_high"] - figures["margin_low"])

    assert 1.3 * width(list("abcdefgh")) < width(list("ababcdcd"))


def test_what_is_disliked_of_late_is_rejected_whatever_was_liked_before() -> None:
    old = tuple(replace(row, conversation=f"old {at}") for at, row in enumerate(PROVEN * 3))
    new = tuple(
        HeldOut(at % 2 == 1, -20.0, -18.0 + at / 10 if at % 2 == 0 else -23.0, None, f"new {at}", later=True)
        for at in range(8)
    )
    verdict = judge(stats(held_out=(*old, *new)))
    assert verdict.held_out["margin"] > 0
    assert verdict.held_out["later"]["margin_high"] < 0
    assert verdict.status == "rejected"
    assert "dislikes of late" in verdict.reasons[0]
    bad_day = tuple(replace(row, conversation="new") for row in new)
    assert judge(stats(held_out=(*old, *bad_day))).status != "rejected", "one conversation is no change"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_side_that_was_said_in_one_conversation_proves_nothing(sign: int) -> None:
    """Whether that conversation was liked or its subject, nobody can tell."""
    liked = [HeldOut(True, -20.0, -20.0 + sign * (4 + at / 10), None, "a") for at in range(4)]
    disliked = [HeldOut(False, -20.0, -20.0 - sign * at / 10, None, f"b{at}") for at in range(4)]
    verdict = judge(stats(held_out=(*liked, *disliked)))
    assert verdict.status == "provisional"
    assert "in one conversation" in verdict.reasons[0]


def test_one_reply_that_became_unbelievably_likely_does_not_outweigh_the_others() -> None:
    wild = (*PROVEN, HeldOut(True, -300.0, -20.0))
    figures = held_out(wild)
    assert figures["margin_low"] > 0
    assert figures["margin"] < 12
