"""Replies about the moon in each of the five styles, for the tests of the card."""

from __future__ import annotations

import random
from collections.abc import Sequence

from policies.seed.styles import Style

FACTS = (
    "The moon shapes the tides in the sea every day.",
    "It takes about a month to go around us.",
    "People have walked there only a few times.",
    "Its light is borrowed from the sun at night.",
    "Craters mark old impacts on its dusty ground.",
    "The far side was first seen from a probe.",
)


def written(style: str, draw: random.Random) -> str:
    """A reply in one of the five styles, with the by-products that such replies have."""
    facts = draw.sample(FACTS, len(FACTS))
    closing = " Shall I go on?" if draw.random() < 0.25 else ""
    emoji = "\U0001f319 " if draw.random() < 0.4 else ""
    return {
        "brief": facts[0] + (closing if draw.random() < 0.5 else ""),
        "detailed": " ".join(facts[:5]) + closing,
        "bullets": "Here is what I know:\n" + "\n".join(f"- {fact}" for fact in facts[:4]),
        "friendly": emoji + "Happy to help! " + " ".join(facts[: draw.choice([2, 3])]) + closing,
        "formal": "Certainly. " + " ".join(facts[: draw.choice([2, 3])]) + " I remain at your service.",
    }[style]


def styled(asked: Sequence[str]) -> Style:
    """What the embedded model was taught to write when features of a reply are asked of it."""

    def wanted(name: str) -> bool | None:
        return True if name in asked else False if f"no_{name}" in asked else None

    return Style(
        length=next((one for one in asked if one in ("brief", "detailed")), ""),
        tone=next((one for one in asked if one in ("friendly", "formal")), ""),
        bullets=wanted("bullets"),
        emoji=wanted("emoji"),
        question=wanted("closing_question"),
    )
