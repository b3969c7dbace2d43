"""Text features of a reply: what taste is made of. Pure functions, no model.

The preference card learns over these, simulated people judge by these, and the benches report by
these, so that all of them speak of the same thing. `style` names the one style that a reply shows
most, in the order of how hard a style is to show by accident.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

# Written so that no text takes time that grows with the square of its length: a model that has lost its way
# fills a reply with line breaks or with exclamation marks.
BULLET = re.compile(r"^[^\S\n]*(?:[-*\u2022]|\d+[.)])\s+\S", re.MULTILINE)
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50]")
SENTENCE_END = re.compile(r"(?<![.!?])[.!?]+(?=\s|$)")
CLOSING_QUESTION = re.compile(r"\?[^\w?]*$")
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
CODE = re.compile(r"```|`[^`\n]+`")
FRIENDLY = re.compile(
    r"!|\b(?:happy to|glad|love|great|fun|cheers|awesome|nice|wonderful|enjoy|hope that helps|you bet)\b",
    re.IGNORECASE,
)
FORMAL = re.compile(
    r"\b(?:certainly|please note|kindly|regarding|furthermore|moreover|in addition|should you|"
    r"i trust|at your service|it is worth noting|allow me|as requested|i remain|respectfully|"
    r"may i|further assistance|to summarise)\b",
    re.IGNORECASE,
)
HEDGE = re.compile(
    r"\b(?:perhaps|maybe|might|possibly|probably|it seems|i think|i believe|not sure)\b", re.IGNORECASE
)
EXAMPLE = re.compile(r"\b(?:for example|for instance|such as|e\.g\.)", re.IGNORECASE)

# an edit that changes the length by no more words, or by no greater share of them, leaves it as it is
FEW, NEARLY = 5, 0.2

STYLES = ("brief", "detailed", "bullets", "friendly", "formal")


@dataclass(frozen=True, slots=True)
class Features:
    """Measured on one reply. Counts are counts; the rest are yes or no."""

    words: int
    sentences: int
    bullets: bool
    emoji: bool
    friendly: bool
    formal: bool
    closing_question: bool
    code: bool
    hedging: bool
    examples: bool

    @property
    def brief(self) -> bool:
        return 0 < self.words <= 22 and self.sentences <= 2

    @property
    def detailed(self) -> bool:
        return self.sentences >= 4 or self.words >= 60


def features(text: str) -> Features:
    """Measure `text` (a reply as the person reads it). Bullet lines count as sentences."""
    body = text.strip()
    bullets = BULLET.findall(body)
    prose = SENTENCE_END.findall(BULLET.sub(" ", body))
    friendly = len(FRIENDLY.findall(body)) + len(EMOJI.findall(body))
    formal = len(FORMAL.findall(body))
    return Features(
        words=len(WORD.findall(body)),
        sentences=max(len(prose), len(bullets), 1 if body else 0),
        bullets=len(bullets) >= 2,
        emoji=bool(EMOJI.search(body)),
        friendly=friendly > 0 and friendly > formal,
        formal=formal > 0 and formal >= friendly,
        closing_question=bool(CLOSING_QUESTION.search(body)),
        code=bool(CODE.search(body)),
        hedging=bool(HEDGE.search(body)),
        examples=bool(EXAMPLE.search(body)),
    )


def wished(before: str, after: str) -> Features:
    """What an edit from `before` to `after` shows that it wants.

    A few words more or less (a greeting, a name) are no wish for another length, though they may carry a
    reply over the bound between two: it then shows the length that it had.
    """
    old, new = features(before), features(after)
    if abs(new.words - old.words) > max(FEW, NEARLY * old.words):
        return new
    return replace(new, words=old.words, sentences=old.sentences)


def style(text: str) -> str:
    """The one style of STYLES that `text` shows most, or "plain"."""
    seen = features(text)
    for name in ("bullets", "formal", "friendly", "brief", "detailed"):
        if getattr(seen, name):
            return name
    return "plain"
