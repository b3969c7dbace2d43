"""The gate and the proof of learning: what was served, what changed, and which ratings did it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.gate.verdict import (
    Sample,
    Telling,
    held_out,
    judge,
    report,
)
from tests.policies.gate_cases import LEARNED, PROVEN, SOUND, stats


@pytest.mark.parametrize(
    ("changes", "says_so"),
    [
        ({"logits_changed": 0.0}, "Nothing was learned: the adapter does not change what the model says."),
        ({"max_abs_b": 0.0}, "the gradient norm is 1.5 and the largest entry of LoRA B 0."),
        ({"grad_norm": 0.0}, "Nothing was learned: the gradient norm is 0"),
        ({"grad_norm": float("nan")}, "Nothing was learned: the gradient norm is nan"),
        ({"sha256_served": "b" * 64}, "not the one that was trained"),
        ({"sha256_served": None}, "not the one that was trained"),
    ],
)
def test_a_run_in_which_nothing_was_learned_is_not_promoted(changes: dict[str, Any], says_so: str) -> None:
    verdict = judge(stats(proof=replace(LEARNED, **changes)))
    assert verdict.status == "rejected"
    assert says_so in verdict.reasons[0]


def test_the_report_says_what_changed_and_which_ratings_did_it() -> None:
    listed = tuple(Sample(f"- one {at}\n- two\n- three") for at in range(20))
    told = (
        Telling("r1", True, 4.0),
        Telling("r2", False, -7.5),
        Telling("r3", False, 2.0),
        Telling("r4", True, 1.0),
        Telling("r5", True, 0.5),
    )
    figures = stats(candidate=listed, telling=told)
    body = report(figures, judge(figures))
    assert body["changed"] == "Fresh replies: 11 -> 4 words, bullets 0 % -> 100 %."
    causes = body["caused_by"]
    assert (causes["liked"], causes["disliked"], causes["taken"]) == (3, 2, 4)
    assert [each["reply_id"] for each in causes["telling"]] == ["r2", "r1", "r4"]
    assert body["factual"]["both"] == {"base": 5, "candidate": 5, "agrees": 0, "probes": 5}
    same = stats(candidate=SOUND)
    assert "to the letter" in report(same, judge(same))["changed"]


def test_an_update_that_nobody_can_hear_is_none_however_sure_its_sign_is() -> None:
    hushed = tuple(replace(row, candidate=row.base + (0.001 if row.liked else -0.001)) for row in PROVEN)
    quiet = stats(held_out=hushed, telling=(Telling("r1", True, 0.002),))
    assert "margin_low" in held_out(hushed)
    verdict = judge(quiet)
    assert verdict.status == "rejected"
    assert verdict.reasons[0].startswith("Nothing was learned that can be heard: all 20 fresh replies")
    assert judge(replace(quiet, telling=(Telling("r1", True, 0.2),))).status == "promoted"
    heard = (Sample("Rivers carry water to the sea, number 0."), *SOUND[1:])
    assert judge(replace(quiet, candidate=heard)).status == "promoted"


def test_counts_are_of_all_that_was_learned_and_the_owners_own_words_have_no_reply() -> None:
    told = (Telling("", True, 9.0), Telling("r1", False, -4.0), Telling("r2", True, -1.0))
    figures = stats(telling=told, learned_from=(40, 30))
    causes = report(figures, judge(figures))["caused_by"]
    assert (causes["liked"], causes["disliked"], causes["of"], causes["taken"]) == (40, 30, 3, 2)
    assert [each["reply_id"] for each in causes["telling"]] == ["r1"]
