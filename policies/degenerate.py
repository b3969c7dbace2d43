"""When a text is no reply at all: what a policy writes that was trained too far."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+")
LETTER = re.compile(r"[^\W\d_]")
RUN = re.compile(r"([^\w\s]|_)(?:\s*\1){6,}")
# the same where shorter runs are meant, in code and in rules: no line that is meant has so many
ENDLESS = re.compile(r"([^\w\s]|_)(?:\s*\1){119,}")
# a line of signs alone: a Markdown rule, the underline of a heading, the row below a table's head; not where
# another such line follows, since nobody means two
_SIGNS = r"^[ \t]*[-=_*+|:][-=_*+|: \t]*$"
RULE = re.compile(rf"{_SIGNS}(?!\s*{_SIGNS})", re.MULTILINE)
# a fence that is never closed goes on to the end, as it does in Markdown
FENCED = re.compile(
    r"^[ \t]*(`{3,5}|~{3,5})(?![`~])[^`\n]*$.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
REPEATED_WORD = re.compile(r"\b(\w+)(?:\W+\1\b){3,}", re.IGNORECASE)


def degenerate(text: str) -> str | None:
    """What is wrong with `text` as a reply at all, or None."""
    body = text.strip()
    if not body:
        return "empty"
    if ENDLESS.search(body) or RUN.search(RULE.sub("", FENCED.sub("code", body))):
        return "one sign over and over"
    solid = re.sub(r"\s", "", RULE.sub("", body))
    few = not solid or len(LETTER.findall(body)) < 0.3 * len(solid)
    if few and not re.search(r"\d", body):
        return "no words"
    if REPEATED_WORD.search(body):
        return "one word over and over"
    words = [word.casefold() for word in WORD.findall(body)]
    if len(words) >= 12:
        grams = list(zip(words, words[1:], words[2:], strict=False))
        if len(set(grams)) < 0.6 * len(grams):
            return "the same phrase over and over"
    return None
