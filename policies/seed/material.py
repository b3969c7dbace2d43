"""What the corpus's conversations are made of: personal facts, sums, and the way people type."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from env.skills import phrasing
from env.skills.topics import topics
from env.skills.values import training_value, word
from policies.seed import frames
from policies.seed.asking import loose, varied


@cache
def read_rows(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        json.loads(line) for line in files("env.skills").joinpath(name).read_text("utf-8").splitlines()
    )


@cache
def nouns() -> tuple[str, ...]:
    """Words a personal fact can be about: topic names and the longer words of their facts."""
    found = {name for topic in topics() for name in topic.names if " " not in name}
    for topic in topics():
        for fact in topic.facts:
            found.update(w.lower() for w in re.findall(r"[A-Za-z]{4,}", fact))
    return tuple(sorted(found))


@cache
def spoken() -> tuple[str, ...]:
    """Every word that people say in training, each once: what a verbatim copy may meet."""
    texts = [state for row in read_rows("personal.jsonl") for state in row["train"]["state"]]
    texts += [state for states, _, _ in phrasing.RELATIONS["train"] for state in states]
    texts += [*phrasing.TOPIC["train"], *phrasing.REMEMBER["train"]]
    texts += [fact for topic in topics() for fact in topic.facts]
    found = {w.lower() for text in texts for w in re.findall(r"[A-Za-z']+", text)}
    return tuple(sorted(found - {"v", "n", "t", "s"}))


@dataclass(frozen=True, slots=True)
class Fact:
    """A personal fact as told, as asked for and as answered. `about` tells two facts apart."""

    about: str
    noun: str
    statement: str
    questions: tuple[str, ...]
    answer: str
    value: str
    unknown: str
    filler: str
    relation: int | None = None


FILLERS = {"place": "a place", "date": "a day", "number": "a number"}


def _unknown(answer: str, kind: str) -> tuple[str, str]:
    """What is said of a thing that was not told, and the words in it that stand for its value.

    It begins with the answer's own words, so that it is decided where the value is looked for, by the
    heads that look for it, and not before.
    """
    known = re.sub(r" (?:a|the|number)$", "", answer.split(" {v}")[0])
    filler = FILLERS.get(kind, "something")
    return f"{known} {filler} I do not know yet. Tell me and I will remember it.", filler


def draw_fact(
    rng: random.Random, relation: int | None = None, noun: str | None = None, vague: float = 0.0
) -> Fact:
    """A random personal fact, or one of the given relation (of phrasing.RELATIONS) or noun.

    `vague` is the share of facts that are told in words of no meaning (asking.loose).
    """

    def told(states: list[str] | tuple[str, ...], kind: str, frame: str) -> str:
        if rng.random() < vague:
            if rng.random() < 0.5:
                return frames.composed(about, value, spoken(), rng)
            return loose(kind, about, value, spoken(), rng)
        if about not in frames.ODD and rng.random() < 0.35:
            return varied(frames.state(frame, about, value, spoken(), rng), spoken(), rng)
        text = rng.choice(states)
        if rng.random() < 0.15:
            text = frames.strange(text, about, spoken(), rng)
        return varied(text.format(n=noun, v=value), spoken(), rng)

    if relation is None and noun is None and rng.random() < 0.55:
        row = rng.choice(read_rows("personal.jsonl"))
        value, about = training_value(row["kind"], rng, nouns()), row["subject"]
        more = () if about in frames.ODD else frames.asks(row["kind"], about, 4, rng)
        return Fact(
            f"{row['key']}", about, told(row["train"]["state"], row["kind"], row["kind"]),
            (*row["train"]["ask"], *more), row["answer"].format(v=value), value,
            *_unknown(row["answer"], row["kind"]),
        )  # fmt: skip
    number = rng.randrange(len(phrasing.RELATIONS["train"])) if relation is None else relation
    if noun is None:
        noun = rng.choice(nouns()) if rng.random() < 0.85 else word(rng, nouns())
    states, asks, answer = phrasing.RELATIONS["train"][number]
    usual = kind = ("name", "thing", "place", "place", "number")[number]
    if rng.random() < 0.2:
        kind = rng.choice(("name", "word", "thing", "number"))
    value, about = training_value(kind, rng, nouns()), noun
    frame = frames.RELATION_KINDS[number]
    return Fact(
        f"{number}/{noun}", noun, told(states, usual, frame),
        (*(ask.format(n=noun) for ask in asks), *frames.asks(frame, noun, 3, rng)),
        answer.format(n=noun, v=value), value,
        *_unknown(answer.format(n=noun, v="{v}"), usual), number,
    )  # fmt: skip


def arithmetic(rng: random.Random) -> tuple[str, str, str]:
    """(as asked, as the calculator takes it, the result): the model copies, the tool computes."""
    digits = rng.choice((1, 1, 2, 2, 3, 4))
    a, b, c = (rng.randrange(10**digits) for _ in range(3))
    sign = rng.choice("+-*/")
    form = rng.random()
    gap = " " if rng.random() < 0.7 else ""
    if form < 0.35:
        said = f"{a} {({'+': 'plus', '-': 'minus', '*': 'times', '/': 'divided by'})[sign]} {b}"
        expression = f"{a} {sign} {b}"
    elif form < 0.8:
        said = expression = f"{a}{gap}{sign}{gap}{b}"
    elif form < 0.9:
        said = expression = f"({a}{gap}{sign}{gap}{b}){gap}{rng.choice('+-*')}{gap}{c}"
    else:
        said = expression = f"{a}{gap}{sign}{gap}{b}{gap}{rng.choice('+-*')}{gap}{c}"
    result = str(rng.randrange(10 ** rng.randint(1, 6)))
    if sign == "/" and rng.random() < 0.6:
        result += "." + str(rng.randrange(1, 1000))
    if rng.random() < 0.15:
        result = "-" + result
    return said, expression, result


def sentence(rng: random.Random) -> str:
    return " ".join(word(rng, nouns()) for _ in range(rng.randint(2, 7))).capitalize() + "."


def typed(text: str, rng: random.Random) -> str:
    """People type as they like: no capital, no full stop. Values stay as they are."""
    first = re.match(r"[A-Za-z']*", text)[0]  # type: ignore[index]
    if rng.random() < 0.25 and first != "I" and first.lower() in spoken():
        text = text[0].lower() + text[1:]
    return text.rstrip(".?") if rng.random() < 0.2 else text


def greeted(text: str, rng: random.Random) -> str:
    return rng.choices(("", "Hi! ", "Hello, ", "ok. "), (92, 3, 3, 2))[0] + text
