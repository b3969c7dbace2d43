"""The gate: its four verdicts, and damage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.gate.verdict import (
    HeldOut,
    Limits,
    Sample,
    Skill,
    Stats,
    held_out,
    judge,
    report,
)
from tests.policies.gate_cases import BRIEF, PROVEN, SOUND, stats


def test_proven_and_sound_is_promoted() -> None:
    verdict = judge(stats())
    assert verdict.status == "promoted"
    assert verdict.reasons[0].startswith("It prefers what the owner likes: margin +")
    assert "4 liked and 4 disliked held-out replies" in verdict.reasons[0]
    assert verdict.held_out["accuracy"] == 1.0
    assert verdict.held_out["margin_low"] > 0
    assert verdict.finding == "promoted"
    assert "Facts hold against belief: 20 of 20 answers are true, 20 were before." in verdict.reasons


def test_two_replies_off_their_topic_are_no_ground() -> None:
    told = tuple(replace(s, on_topic=True) for s in SOUND)
    verdict = judge(stats(base=told, candidate=(*told[2:], *SOUND[:2])))
    assert verdict.status == "promoted"
    assert "They are about what was asked: 18 of 20, 20 before." in verdict.reasons


@pytest.mark.parametrize(
    "rows", [(), PROVEN[:2], tuple(HeldOut(False, -20.0, -24.0) for _ in range(9)), PROVEN[:1] + PROVEN[1::2]]
)
def test_sound_but_unproven_is_provisional(rows: tuple[HeldOut, ...]) -> None:
    verdict = judge(stats(held_out=rows))
    assert (verdict.status, verdict.finding) == ("provisional", "not enough evidence yet")
    assert "Not enough evidence yet" in verdict.reasons[0]


def test_two_of_each_that_are_quite_alike_are_no_interval() -> None:
    def alike(many: int) -> Stats:
        return stats(
            held_out=tuple(HeldOut(liked, -20.0, 5.0 if liked else -45.0) for liked in (True, False) * many)
        )

    few = judge(alike(2))
    assert few.finding == "not enough evidence yet"
    assert "all of either side are alike" in few.reasons[0]
    assert judge(alike(3)).finding == "promoted"


def test_an_interval_over_zero_is_provisional() -> None:
    mixed = tuple(HeldOut(at % 2 == 0, 0.0, float((at * 7) % 5 - 2)) for at in range(10))
    verdict = judge(stats(held_out=mixed))
    assert (verdict.status, verdict.finding) == ("provisional", "provisional")
    assert verdict.reasons[0].startswith("Not clear yet")


def test_the_wrong_way_round_is_rejected() -> None:
    verdict = judge(stats(held_out=tuple(replace(row, liked=not row.liked) for row in PROVEN)))
    assert verdict.status == "rejected"
    assert verdict.reasons[0].startswith("It prefers what the owner dislikes")


def test_a_few_ratings_that_may_be_slips_are_no_ground_to_reject() -> None:
    wrong = [replace(row, liked=not row.liked) for row in PROVEN]
    few = tuple([row for row in wrong if row.liked][:2] + [row for row in wrong if not row.liked])
    verdict = judge(stats(held_out=few))
    assert verdict.held_out["margin_high"] < 0
    assert verdict.status == "provisional"
    assert verdict.reasons[0].startswith("It seems to prefer what the owner dislikes, on few ratings")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"candidate": (Sample("-----"),) * 3 + SOUND[3:]},
            '3 of 20 fresh replies are broken (no words: "-----")',
        ),
        (
            {"candidate": tuple(replace(s, truncated=at < 8) for at, s in enumerate(SOUND))},
            "40% of fresh replies",
        ),
        ({"candidate": (Sample("Rivers flow to the sea every day."),) * 20}, "Only 5% of fresh replies"),
        (
            {"candidate": tuple(Sample("water " + "river stone hill " * 40 + str(at)) for at in range(20))},
            "words",
        ),
        (
            {
                "base": tuple(replace(s, on_topic=True) for s in SOUND),
                "candidate": tuple(replace(s, on_topic=at > 2) for at, s in enumerate(SOUND)),
            },
            "It strays: 17 of 20 fresh replies are about what was asked, 20 were before",
        ),
        ({"kl": 9.0}, "9.00 nats a token"),
        ({"kl": float("nan")}, "nats a token"),
        ({"candidate": ()}, "not tried"),
        (
            {"skills": {"recall": Skill((True,) * 10, (True,) * 4 + (False,) * 6)}},
            "lost the skill recall: 4 of 10",
        ),
        (
            {"skills": {str(at): Skill((True,) * 6, (True,) * 5 + (False,)) for at in range(6)}},
            "Skills suffer: 30 of 36",
        ),
    ],
)
def test_damage_is_rejected_with_its_figures_however_well_it_pleases(
    changes: dict[str, Any], says: str
) -> None:
    verdict = judge(stats(**changes))
    assert verdict.status == "rejected"
    assert any(says in reason for reason in verdict.reasons), verdict.reasons


def replies_of(words: int) -> tuple[Sample, ...]:
    return tuple(Sample(" ".join(f"word{at}x{n}" for n in range(words))) for at in range(20))


def test_brief_replies_are_no_fault_when_they_are_liked() -> None:
    assert judge(stats(candidate=BRIEF)).status == "promoted"
    assert judge(stats(candidate=replies_of(30))).status == "promoted"
    long = replies_of(90)
    assert judge(stats(candidate=long, liked_words=(80, 95))).status == "promoted"
    assert judge(stats(candidate=replies_of(40), liked_words=())).status == "rejected"
    assert judge(stats(candidate=long, liked_words=(12,) * 10 + (80,))).status == "rejected"


def test_what_the_base_does_too_is_not_the_candidates_fault() -> None:
    noise = tuple(Sample("-----", truncated=True) for _ in range(20))
    lost = {"recall": Skill((False,) * 10, (False,) * 10)}
    assert judge(stats(base=noise, candidate=noise, skills=lost)).status == "promoted"


def test_the_margin_is_relative_to_the_base_and_shows_the_active_one() -> None:
    rows = [HeldOut(True, -10.0, -8.0, -9.0), HeldOut(False, -10.0, -13.0, -9.5)]
    figures = held_out(rows)
    assert figures["margin"] == pytest.approx(5.0)
    assert figures["active_margin"] == pytest.approx(0.5)
    assert held_out([]) == {"liked": 0, "disliked": 0}


def test_limits_can_be_set_and_the_report_is_plain() -> None:
    strict = judge(stats(), Limits(kl=0.1))
    assert strict.status == "rejected"
    body = report(stats(), strict)
    assert body["verdict"] == "rejected"
    assert body["skills"]["recall"] == {
        "base": 10,
        "candidate": 10,
        "probes": 10,
    }
    assert body["words"]["liked"] == 3
