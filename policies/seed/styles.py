"""How a reply looks under a preference card: the training targets of the seed's topic replies."""

from __future__ import annotations

import random
from dataclasses import dataclass

from memory.taste.card_texts import CARD_TEXTS

FRIENDLY_OPEN = (
    "Oh, I love this one!", "Great question!", "Happy to help!", "Sure thing!", "Nice topic!",
    "So glad you asked!", "Oh, fun!", "What a lovely question!",
)  # fmt: skip
FRIENDLY_CLOSE = ("Hope that helps!", "Enjoy!", "Isn't that great!", "How nice is that!", "Have fun with it!")
FORMAL_OPEN = (
    "Certainly.", "Please note the following.", "Allow me to explain.",
    "With regard to your question, certainly.", "It is worth noting the following.", "As requested.",
)  # fmt: skip
FORMAL_CLOSE = (
    "I trust this is of use.", "Should you need further assistance, please ask.", "I remain at your service.",
)  # fmt: skip
EMOJI = ("😊", "🌟", "👍", "🎉", "✨")
QUESTION = {
    "friendly": ("Want to hear more?", "What do you think?", "Shall I tell you more?"),
    "formal": ("May I help with anything else?", "Would you like further details?"),
    "plain": ("Do you want to know more?", "Is there anything else?"),
}


@dataclass(frozen=True, slots=True)
class Style:
    """length: brief, detailed or "" (two or three sentences); tone: friendly, formal or "".

    bullets, emoji, question: wanted, not wanted, or None where nothing is said about them.
    """

    length: str = ""
    tone: str = ""
    bullets: bool | None = None
    emoji: bool | None = None
    question: bool | None = None


PURE = (
    Style(length="brief"),
    Style(length="detailed"),
    Style(bullets=True),
    Style(tone="friendly"),
    Style(tone="formal"),
)


def render(facts: tuple[str, ...], style: Style, rng: random.Random) -> str:
    """A reply that states `facts` from a random one on, in `style`."""
    count = {"brief": 1, "detailed": len(facts)}.get(style.length, 3 if style.bullets else 2)
    if style.bullets and style.length == "brief":
        count = 2
    start = rng.randrange(len(facts))
    told = [facts[(start + i) % len(facts)] for i in range(count)]
    return dress(told, style, rng)


def dress(told: list[str], style: Style, rng: random.Random) -> str:
    """Sentences in the tone, layout and ending that `style` asks for."""
    opening = closing = ""
    if style.tone == "friendly":
        opening = rng.choice(FRIENDLY_OPEN)
        if style.length != "brief" and rng.random() < 0.3:
            closing = rng.choice(FRIENDLY_CLOSE)
    elif style.tone == "formal":
        opening = rng.choice(FORMAL_OPEN)
        if style.length != "brief" and rng.random() < 0.4:
            closing = rng.choice(FORMAL_CLOSE)
    ask = style.question
    if ask is None:
        ask = style.tone == "friendly" and style.length != "brief" and rng.random() < 0.2
    if ask:
        closing = rng.choice(QUESTION[style.tone or "plain"])
    emoji = style.emoji if style.emoji is not None else style.tone == "friendly" and rng.random() < 0.4
    if emoji:
        spot = rng.choice(EMOJI)
        if opening:
            opening = f"{opening} {spot}"
        elif closing:
            closing = f"{closing} {spot}"
        else:
            told = [*told[:-1], f"{told[-1]} {spot}"]
    if style.bullets:
        parts = [opening, "\n".join(f"- {fact}" for fact in told), closing]
        return "\n".join(part for part in parts if part)
    return " ".join(part for part in [opening, *told, closing] if part)


def card_lines(style: Style) -> list[str]:
    """The card that asks for `style`, in the words of memory.taste.card_texts."""
    lines = []
    if style.length:
        lines.append(CARD_TEXTS[style.length])
    if style.bullets is not None:
        lines.append(CARD_TEXTS["bullets" if style.bullets else "no_bullets"])
    if style.tone:
        lines.append(CARD_TEXTS[style.tone])
    if style.emoji is not None:
        lines.append(CARD_TEXTS["emoji" if style.emoji else "no_emoji"])
    if style.question is not None:
        lines.append(CARD_TEXTS["closing_question" if style.question else "no_closing_question"])
    return lines
