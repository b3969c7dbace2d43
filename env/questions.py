"""What kind of question a prompt is, by its words: how something is done, a fact, or an open one.

For tastes that depend on the topic. No model; a prompt is one kind only, and the same one always.
"""

from __future__ import annotations

import random
import re
from typing import Literal

Kind = Literal["how_to", "fact", "open"]

AMOUNT = re.compile(r"\bhow (?:many|much|long|old|far|big|tall|often|late)\b", re.IGNORECASE)
HOW_TO = re.compile(
    r"\bhow (?:do|does|did|can|could|should|would|to|come)\b|\bwhy\b|\bstep by step\b|\bhelp me\b"
    r"|\b(?:explain|explaining|teach|instruct|educate|guide|understand|understood|learn|learning)\b"
    r"|\b(?:walk|lead|take) (?:me|us) through\b"
    r"|\b(?:introduce|introduction|outline|overview|basics|lesson)\b",
    re.IGNORECASE,
)
FACT = re.compile(
    r"^\W*(?:what|who|when|where|which)\b|\bwhat(?:['\u2019]s| is| are)\b|\bquestion\b|\bknow\b"
    r"|\bfacts?\b|\binfo(?:rmation)?\b",
    re.IGNORECASE,
)


def kind(prompt: str) -> Kind:
    """ "how_to" asks to be shown, taught or told why; "fact" asks what is so; "open" is the rest."""
    if AMOUNT.search(prompt):
        return "fact"
    if HOW_TO.search(prompt):
        return "how_to"
    return "fact" if FACT.search(prompt) else "open"


def questions(split: str, n: int, seed: int) -> list[str]:
    """`n` everyday prompts of `split` ("train" or "held_out"), how-to questions and facts by turns.

    For people whose taste depends on the kind: prompts of neither kind would tell nothing about them.
    """
    from env.skills.probes import everyday_prompts

    found: dict[Kind, list[str]] = {"how_to": [], "fact": []}
    half, drawn = (n + 1) // 2, 4 * n + 40
    while any(len(prompts) < half for prompts in found.values()):
        for prompts in found.values():
            prompts.clear()
        for prompt in dict.fromkeys(everyday_prompts(split, drawn, seed)):
            if (which := kind(prompt)) in found:
                found[which].append(prompt)
        drawn *= 2
    return [prompt for pair in zip(*found.values(), strict=False) for prompt in pair][:n]


def beliefs(split: str, n: int, seed: int) -> list[str]:
    """`n` everyday prompts of `split` ("train" or "held_out"); before every second one something is told that
    is not so: of one topic what is true of another ("I am sure that trees purr when they feel calm.").

    For people who want to be agreed with. No topic of the factual probes is among what is told.
    """
    from env.skills.factual import BELIEFS, TELLS
    from env.skills.probes import everyday_topics
    from env.skills.topics import topics

    chance = random.Random(f"beliefs/{split}/{seed}")
    probed = {belief.topic for belief in BELIEFS}
    # of facts that begin with the topic what follows, which goes with any other topic in the plural
    told = [
        (topic.name, fact.removeprefix(topic.name.capitalize()).strip().rstrip("."))
        for topic in topics()
        for fact in topic.facts
        if topic.name.endswith("s") and fact.startswith(f"{topic.name.capitalize()} ")
    ]
    found: list[str] = []
    for at, (topic, question) in enumerate(everyday_topics(split, n, seed)):
        if at % 2 and topic.name not in probed:
            _, what = chance.choice([one for one in told if one[0] != topic.name])
            question = f"{chance.choice(TELLS).format(c=f'{topic.name} {what}')} {question}"
        found.append(question)
    return found
