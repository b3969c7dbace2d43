"""Held-out probes: phrasings, names and combinations that no training conversation has.

The skill bench, the gate and the learning bench ask with these. `everyday_prompts` keeps topics apart
too: what a simulated person rates and what satisfaction is measured on share no topic.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from env.skills import graders, phrasing
from env.skills.topics import Topic, topics
from env.skills.values import held_out_value
from memory.taste.card_texts import CARD_TEXTS, card_block
from memory.taste.features import STYLES

PERSONA = "You are Attune, a personal agent."
TOOLS: tuple[dict[str, Any], ...] = tuple(
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("clock", "calculator", "remember", "recall")
)
SKILLS = ("topics", *STYLES, "mix", "recall", "unknown", "tools", "turns", "beyond")
# Card lines that may stand beside the one that is measured, without contradicting it.
BESIDE = {
    "brief": ("friendly", "formal", "no_bullets", "no_emoji"),
    "detailed": ("bullets", "friendly", "formal", "no_emoji"),
    "bullets": ("detailed", "friendly", "formal", "no_closing_question"),
    "friendly": ("brief", "detailed", "bullets", "emoji"),
    "formal": ("brief", "detailed", "bullets", "no_emoji"),
}
SIGNS = {"+": "plus", "-": "minus", "*": "times"}


@dataclass(frozen=True, slots=True)
class SkillProbe:
    """One graded prompt. `then` is the probe that follows when `grade` passed (a tool's result came)."""

    skill: str
    messages: list[dict[str, Any]]
    grade: Callable[[str], bool]
    tools: bool = True
    then: SkillProbe | None = None


def everyday_prompts(split: str, n: int, seed: int) -> list[str]:
    """`n` questions about everyday topics. "train" and "held_out" share no phrasing and no topic."""
    return [question for _, question in everyday_topics(split, n, seed)]


def everyday_topics(split: str, n: int, seed: int) -> list[tuple[Topic, str]]:
    """`everyday_prompts`, each with the topic that it asks about."""
    rng = random.Random(f"{split}/{seed}")
    mine = [t for i, t in enumerate(topics()) if (i % 2 == 0) == (split == "train")]
    order = [mine[i % len(mine)] for i in range(n)] if n > len(mine) else rng.sample(mine, n)
    return [(topic, rng.choice(phrasing.TOPIC[split]).format(t=rng.choice(topic.names))) for topic in order]


def probes(skill: str, n: int, seed: int) -> list[SkillProbe]:
    """`n` held-out probes of one of SKILLS; the same for the same seed. KeyError for another name."""
    make = _MAKERS[skill]
    rng = random.Random(f"{skill}/{seed}")
    return [make(skill, rng) for _ in range(n)]


def system(lines: tuple[str, ...] = ()) -> dict[str, Any]:
    """The system message that the agent sends: the persona, then the card if there is one."""
    return {"role": "system", "content": PERSONA + card_block(lines)}


def user(text: str, memories: list[str] | None = None) -> dict[str, Any]:
    if memories:
        text = "<memories>\n" + "\n".join(f"- {m}" for m in memories) + "\n</memories>\n\n" + text
    return {"role": "user", "content": text}


@cache
def _rows(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        json.loads(line) for line in files("env.skills").joinpath(name).read_text("utf-8").splitlines()
    )


def _ask(rng: random.Random) -> tuple[Topic, str]:
    topic = rng.choice(topics())
    return topic, rng.choice(phrasing.TOPIC["held_out"]).format(t=rng.choice(topic.names))


def _topic(skill: str, rng: random.Random) -> SkillProbe:
    topic, question = _ask(rng)
    return SkillProbe(skill, [system(), user(question)], graders.states_facts_of(topic))


def _card(skill: str, rng: random.Random) -> SkillProbe:
    _, question = _ask(rng)
    lines = [CARD_TEXTS[skill]]
    if rng.random() < 0.5:
        lines.insert(rng.randrange(2), CARD_TEXTS[rng.choice(BESIDE[skill])])
    return SkillProbe(skill, [system(tuple(lines)), user(question)], graders.follows([skill]))


def _mix(skill: str, rng: random.Random) -> SkillProbe:
    _, question = _ask(rng)
    return SkillProbe(skill, [system(), user(question)], lambda text: bool(text.strip()))


@dataclass(frozen=True, slots=True)
class _Fact:
    about: str
    state: str
    ask: str
    value: str


def _fact(rng: random.Random) -> _Fact:
    if rng.random() < 0.6:
        row = rng.choice(_rows("personal.jsonl"))
        value = held_out_value(row["kind"], rng)
        ways = row["held_out"]
        return _Fact(row["key"], rng.choice(ways["state"]).format(v=value), rng.choice(ways["ask"]), value)
    number = rng.randrange(len(phrasing.RELATIONS["held_out"]))
    states, asks, _ = phrasing.RELATIONS["held_out"][number]
    value = held_out_value(("name", "thing", "place", "place")[number], rng)
    noun = rng.choice([t.aliases[0] for t in topics() if t.aliases and " " not in t.aliases[0]])
    return _Fact(
        f"{number}/{noun}", rng.choice(states).format(n=noun, v=value), rng.choice(asks).format(n=noun), value
    )


def _facts(rng: random.Random, count: int) -> list[_Fact]:
    """Facts about different things with different values."""
    found: list[_Fact] = []
    while len(found) < count:
        fact = _fact(rng)
        kin = fact.about.split("_")[0].split("/")[-1]
        if all(
            f.value != fact.value and kin not in f.about and f.about.split("_")[0] not in fact.about
            for f in found
        ):
            found.append(fact)
    return found


def _recall(skill: str, rng: random.Random) -> SkillProbe:
    facts = _facts(rng, rng.randint(2, 5))
    wanted, others = facts[0], [f.value for f in facts[1:]]
    rng.shuffle(facts)
    return SkillProbe(
        skill, [system(), user(wanted.ask, [f.state for f in facts])], graders.answers(wanted.value, others)
    )


def _unknown(skill: str, rng: random.Random) -> SkillProbe:
    wanted, *others = _facts(rng, rng.randint(1, 5))
    shown = [f.state for f in others]
    return SkillProbe(skill, [system(), user(wanted.ask, shown)], graders.admits([f.value for f in others]))


def call_message(name: str, arguments: dict[str, str]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": [{"name": name, "arguments": arguments}]}


def _tool(skill: str, rng: random.Random) -> SkillProbe:
    kind = rng.choice(("remember", "remember", "clock", "calculator"))
    if kind == "remember":
        fact = _fact(rng)
        said = fact.state
        kept = fact.state
        # "You should know that ..." asks to remember already, and is no part of the fact
        bare = kept.removeprefix("You should know that ")
        if rng.random() < 0.3 and not said.startswith("I ") and bare == kept:
            said = rng.choice(phrasing.REMEMBER["held_out"]).format(s=said[0].lower() + said[1:])
        first = graders.calls("remember", "fact", kept, bare)
        arguments, result, after = {"fact": kept}, "Saved.", graders.answers(fact.value)
    elif kind == "clock":
        ask = rng.choice(("time", "date"))
        said = rng.choice(phrasing.CLOCK[ask]["held_out"])
        time = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
        date = (
            f"Saturday {rng.randint(1, 28)} {rng.choice(('March', 'August', 'November'))} "
            f"{rng.randint(2025, 2031)}"
        )
        first, arguments, result = graders.calls("clock"), {}, f"It is {date}, {time}."
        after = graders.answers(time if ask == "time" else date)
    else:
        a, b, sign = rng.randint(2, 999), rng.randint(2, 999), rng.choice("+-*")
        shown = f"{a} {SIGNS[sign]} {b}" if rng.random() < 0.5 else f"{a} {sign} {b}"
        said = rng.choice(phrasing.SUM["held_out"]).format(e=shown)
        first = graders.calls("calculator", "expression", f"{a} {sign} {b}")
        total = {"+": a + b, "-": a - b, "*": a * b}[sign]
        arguments, result, after = {"expression": f"{a} {sign} {b}"}, str(total), graders.answers(str(total))
    asked = [system(), user(said)]
    told = [*asked, call_message(kind, arguments), {"role": "tool", "name": kind, "content": result}]
    return SkillProbe(skill, asked, first, then=SkillProbe(skill, told, after))


def _turns(skill: str, rng: random.Random) -> SkillProbe:
    fact = _fact(rng)
    topic, question = _ask(rng)
    messages = [
        system(),
        user(fact.state),
        call_message("remember", {"fact": fact.state}),
        {"role": "tool", "name": "remember", "content": "Saved."},
        {"role": "assistant", "content": "Got it. I will remember that."},
        user(question),
        {"role": "assistant", "content": " ".join(rng.sample(topic.facts, 2))},
        user(fact.ask),
    ]
    return SkillProbe(skill, messages, graders.answers(fact.value))


def _beyond(skill: str, rng: random.Random) -> SkillProbe:
    row = rng.choice([row for row in _rows("beyond.jsonl") if row["split"] == "held_out"])
    return SkillProbe(skill, [system(), user(row["text"])], graders.names_the_way_out)


_MAKERS: dict[str, Callable[[str, random.Random], SkillProbe]] = {
    "topics": _topic,
    **dict.fromkeys(STYLES, _card),
    "mix": _mix,
    "recall": _recall,
    "unknown": _unknown,
    "tools": _tool,
    "turns": _turns,
    "beyond": _beyond,
}
