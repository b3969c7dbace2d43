"""The exact words of the preference card. The embedded model was trained on them: never change one."""

from __future__ import annotations

from collections.abc import Sequence

CARD_TEXTS = {
    "brief": "Keep replies brief.",
    "detailed": "Give detailed replies.",
    "bullets": "Use bullet points.",
    "no_bullets": "Do not use bullet points.",
    "friendly": "Be warm and friendly.",
    "formal": "Be formal.",
    "emoji": "Use emoji.",
    "no_emoji": "Do not use emoji.",
    "closing_question": "End with a question.",
    "no_closing_question": "Do not end with a question.",
    "code": "Show code examples.",
}


def card_block(lines: Sequence[str]) -> str:
    """The card as it stands behind the persona in the system message; nothing for an empty card."""
    return "\n\nPreferences of the owner:\n" + "\n".join(f"- {line}" for line in lines) if lines else ""
