"""Chats that have nothing to do with taste: what the base says to them is what training must not change.

From the training phrasings of the embedded skills, never from the held-out ones: those are what
retention is measured with. For other base models they are chats like any other.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from env.skills import phrasing
from env.skills.probes import call_message, everyday_prompts, system, user
from env.skills.values import training_value
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.features import STYLES
from policies.rows import Tokens

SEED = 30_011


@dataclass(frozen=True, slots=True)
class Anchor(Tokens):
    """What the base says to an anchor; `style` where that is an everyday answer in a style of the card."""

    style: bool = False


def asks_for_style(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a line on the card of the chat asks for a style."""
    card = str(messages[0].get("content", "")) if messages else ""
    return any(CARD_TEXTS[style] in card for style in STYLES)


def anchor_chats(rounds: int = 6) -> list[list[dict[str, Any]]]:
    """`rounds` times thirteen chats: five card lines, and eight on memory, tools, turns and limits."""
    rng = random.Random(SEED)
    topics = iter(everyday_prompts("train", rounds * (len(STYLES) + 1), SEED))
    personal, beyond = _rows("personal.jsonl"), [r for r in _rows("beyond.jsonl") if r["split"] == "train"]
    chats: list[list[dict[str, Any]]] = []
    for _ in range(rounds):
        chats += [[system((CARD_TEXTS[style],)), user(next(topics))] for style in STYLES]
        told, other = rng.sample(personal, 2)
        stated, noise = _state(told, rng), _state(other, rng)
        remembered = [
            system(),
            user(stated),
            call_message("remember", {"fact": stated}),
            {"role": "tool", "name": "remember", "content": "Saved."},
        ]
        got_it, aside = _said("Got it."), [user(next(topics)), _said("There is much to say about that.")]
        ask = rng.choice(told["train"]["ask"])
        total = rng.choice(phrasing.SUM["train"]).format(e=f"{rng.randint(2, 99)} + {rng.randint(2, 99)}")
        chats += [
            [system(), user(ask, [stated, noise])],
            [system(), user(rng.choice(other["train"]["ask"]), [stated])],
            [system(), user(stated)],
            remembered,
            [*remembered, got_it, *aside, user(ask)],
            [system(), user(rng.choice(phrasing.CLOCK["time"]["train"]))],
            [system(), user(total)],
            [system(), user(rng.choice(beyond)["text"])],
        ]
    return chats


def _state(row: dict[str, Any], rng: random.Random) -> str:
    return str(rng.choice(row["train"]["state"])).format(v=training_value(row["kind"], rng))


def _said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _rows(name: str) -> list[dict[str, Any]]:
    text = files("env.skills").joinpath(name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]
