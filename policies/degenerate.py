"""When a text is no reply at all: what a policy writes that was trained too far."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+")
LETTER = re.compile(r"[^\W\d_]")
RUN = re.compile(r"([^\w\s]|_)(?:\s*\1){6,}")
REPEATED_WORD = re.compile(r"\b(\w+)(?:\W+\1\b){3,}", re.IGNORECASE)


def degenerate(text: str) -> str | None:
    """What is wrong with `text` as a reply at all, or None."""
    body = text.strip()
    if not body:
        return "empty"
    if RUN.search(body):
        return "one sign over and over"
    solid = re.sub(r"\s", "", body)
    if len(LETTER.findall(body)) < 0.3 * len(solid) and not re.search(r"\d", body):
        return "no words"
    if REPEATED_WORD.search(body):
        return "one word over and over"
    words = [word.casefold() for word in WORD.findall(body)]
    if len(words) >= 12:
        grams = list(zip(words, words[1:], words[2:], strict=False))
        if len(set(grams)) < 0.6 * len(grams):
            return "the same phrase over and over"
    return None
