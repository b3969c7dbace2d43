"""The probes are held out, and the graders tell right from wrong."""

from __future__ import annotations

import re

import pytest

from env.skills import graders, phrasing
from env.skills.probes import SKILLS, TOOLS, everyday_prompts, probes
from env.skills.topics import topics
from env.skills.values import HELD_OUT, training_value


def squeeze(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().casefold()


def test_there_are_enough_topics_with_facts_of_their_own() -> None:
    assert len(topics()) >= 150
    assert all(len(topic.facts) >= 4 for topic in topics())
    facts = [fact for topic in topics() for fact in topic.facts]
    names = [name for topic in topics() for name in topic.names]
    assert len(set(facts)) == len(facts)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "pool",
    [
        phrasing.TOPIC,
        phrasing.MORE,
        phrasing.SUM,
        phrasing.REMEMBER,
        phrasing.LOOK_UP,
        *phrasing.CLOCK.values(),
    ],
)
def test_no_held_out_phrasing_is_trained_on(pool: dict[str, tuple[str, ...]]) -> None:
    assert pool["held_out"]
    assert {squeeze(p) for p in pool["train"]}.isdisjoint(squeeze(p) for p in pool["held_out"])


def test_everyday_splits_share_no_topic() -> None:
    def told(split: str) -> set[str]:
        found = set()
        for prompt in everyday_prompts(split, 60, 3):
            words = f" {squeeze(prompt)} "
            # the longest name wins: "green tea" is not "tea"
            hits = [(len(n), t.name) for t in topics() for n in t.names if f" {squeeze(n)} " in words]
            found.add(max(hits)[1])
        return found

    assert told("train").isdisjoint(told("held_out"))
    assert everyday_prompts("train", 5, 1) == everyday_prompts("train", 5, 1)
    assert len(everyday_prompts("train", 400, 1)) == 400


def test_training_values_are_never_held_out_ones() -> None:
    import random

    rng = random.Random(0)
    never = {v.lower() for values in HELD_OUT.values() for v in values}
    for kind in HELD_OUT:
        assert never.isdisjoint(training_value(kind, rng).lower() for _ in range(300))


@pytest.mark.parametrize("skill", SKILLS)
def test_probes_are_seeded_and_refuse_empty_replies_of_graded_skills(skill: str) -> None:
    one, two = probes(skill, 20, 5), probes(skill, 20, 5)
    assert [p.messages for p in one] == [p.messages for p in two]
    assert [p.messages for p in one] != [p.messages for p in probes(skill, 20, 6)]
    assert not any(p.grade("") for p in one)
    assert not any(p.grade("xq zz") for p in one if skill != "mix" and skill != "brief")


def test_a_call_is_read_and_compared() -> None:
    good = '<tool_call>{"name": "remember", "arguments": {"fact": "My dog is called Fitzo."}}</tool_call>'
    grade = graders.calls("remember", "fact", "My dog is called Fitzo")
    assert grade(good)
    assert not grade(good.replace("Fitzo", "Fitz"))
    assert not grade(good.replace("remember", "recall"))
    assert not grade("My dog is called Fitzo.")
    assert not grade('<tool_call>{"name": "remember", "arguments": </tool_call>')


def test_answers_want_the_whole_value_and_no_other() -> None:
    grade = graders.answers("Fitzo", ["Mitzi"])
    assert grade("Your dog is called Fitzo.")
    assert not grade("Your dog is called Fitz.")
    assert not grade("Your dog is called Fitzone.")
    assert not grade("Fitzo or Mitzi.")


def test_admitting_is_not_inventing() -> None:
    grade = graders.admits(["Porto"])
    assert grade("I do not know that yet.")
    assert not grade("I do not know, perhaps Porto.")
    assert not grade("You live in Lisbon.")


def test_facts_must_be_of_the_topic_asked() -> None:
    one, two = topics()[0], topics()[1]
    grade = graders.states_facts_of(one)
    assert grade(f"Great question! {one.facts[2]}")
    assert not grade(two.facts[0])
    assert not grade(f"{one.facts[0]} {two.facts[0]}")


def test_the_tools_stand_in_the_order_of_the_corpus() -> None:
    assert [tool["function"]["name"] for tool in TOOLS] == ["clock", "calculator", "remember", "recall"]
