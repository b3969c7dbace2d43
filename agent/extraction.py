"""Facts that a larger base model finds in what the owner said, under a JSON schema.

A small model cannot do this: it fills the schema with whatever was said. So it is asked only of a base with
at least a thousand million parameters. What comes back is untrusted: it is validated strictly, and then goes
the way of every candidate (memory/learning.py), which marks as inferred what the owner did not
say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent import documents
from agent.events import Notice
from agent.noting import told
from memory.learning import Learned, learn
from memory.records import Message
from policies.policy import ChatMessage, Generated, SamplingParams

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from agent.turn import Turn

LARGE = 1_000_000_000
MOST, TOKENS = 5, 256
FEWEST_WORDS = 4
Ask = Callable[[list[ChatMessage]], str]


class Fact(BaseModel):
    """One fact about the owner, as the owner would say it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    fact: str = Field(min_length=3, max_length=200)


class Found(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    facts: list[Fact] = Field(max_length=MOST)


def prompt(said: str) -> list[ChatMessage]:
    """What the model is asked; the schema is the one that its answer is held to."""
    schema = json.dumps(Found.model_json_schema())
    return [
        {
            "role": "system",
            "content": "You find lasting facts about the owner in what the owner said: names, places, work, "
            "people, tastes, needs. Not moods, plans of the day, opinions or small talk. Each is one short "
            "sentence in the first person that is understood by itself. Most messages hold none; then the "
            f"list is empty. Answer with JSON alone, under this schema: {schema}",
        },
        {"role": "user", "content": said},
    ]


def extract(ask: Ask, said: str) -> list[str]:
    """The facts that `ask` (messages -> text) finds in `said`; [] when its answer breaks the schema."""
    answer = ask(prompt(said)).strip()
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", answer, re.DOTALL)
    try:
        found = Found.model_validate_json(fenced[1] if fenced else answer)
    except ValidationError:
        return []
    return [one.fact for one in found.facts]


def large_enough(runtime: Runtime) -> bool:
    """Whether the base that speaks can be asked."""
    return (runtime.base_parameters or 0) >= LARGE


def after_turn(runtime: Runtime, turn: Turn) -> list[Notice]:
    """Behind a reply: learn what the model finds in the message. A cancelled turn is left alone."""
    if not turn.use_memory or turn.cancel.is_set() or not large_enough(runtime):
        return []
    said = turn.source.content
    if len(said.split()) < FEWEST_WORDS:
        return []
    sampling = SamplingParams(temperature=0.0, max_new_tokens=TOKENS)

    def ask(messages: list[ChatMessage]) -> str:
        stream: Any = turn.policy.stream(messages, sampling, (), turn.cancel)
        return next((one.text for one in stream if isinstance(one, Generated)), "")

    found = extract(ask, said)
    if not found:
        return []
    claims = documents.claims(runtime, turn.source, turn.passages)
    shown = [*(one.text for one in turn.recalled), *claims]
    learned = learn_all(runtime, turn.source, found, shown)
    return [Notice(text) for one in learned if (text := told(one))]


def learn_all(runtime: Runtime, source: Message, texts: list[str], shown: list[str]) -> list[Learned]:
    return [one for text in texts if (one := learn(runtime.facts, text, source, shown)).new]
