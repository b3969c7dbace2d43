"""Words of questions and of memories: what is asked about, what is a name, what says the same twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

WORD = re.compile(r"\w+")
# Words of asking rather than of what is asked about.
ASKING = frozenset(
    WORD.findall(
        """
        a about after again all also am an and any are as ask at be because been before but by call
        called came can come could describe did do does doing done explain find for from get give go
        got had has have he hello help her here hey hi him his how i if in into is it its just know
        let like list long make many may me mean more most much must my name named need no not now
        of off ok on one or our out over please put recall remember remind s say see she should show
        so some t take talk tell thank thanks that the their them then there these they thing things
        think this those to too up us use very want was way we well were what when where which who
        whose why will with work would write yes you your
        """
    )
)
# What may differ between two sentences that say the same; who it is about may not, nor "not".
FILLERS = frozenset(WORD.findall("a an the just really very so also too well oh and that"))
ALIKE = 0.85
SENTENCE = re.compile(r"[^.!?]+[.!?]*")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: all of its words, and those that say what it is about, each folded.

    `sought` are the latter for SQLite's full text, which folds by itself, and otherwise than Python: to it
    "strasse" is not "straße".
    """

    all: frozenset[str]
    words: frozenset[str]
    sought: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Asked:
        found = frozenset(folded(text))
        sought = {
            word.lower(): word.lower() if word.isascii() else word  # "Tea" and "tea" count once
            for word in WORD.findall(text)
            if word.casefold() not in ASKING
        }
        return cls(found, found - ASKING, frozenset(sought.values()))


def folded(text: str) -> list[str]:
    """The words of a text for comparison. Found before they are folded, which would split "İzmir"."""
    return [word.casefold() for word in WORD.findall(text)]


def coverage(asked: Asked, text: str) -> float:
    """Share of the asked words in the text, matched by their first letters to fold inflections."""
    if not asked.words:
        return 0.0
    held = content(text)
    there = set(held)
    hits = sum(word in there or any(_same_stem(word, other) for other in held) for word in asked.words)
    return hits / len(asked.words)


def names(asked: Asked, text: str) -> bool:
    """Whether a word that is written like a name (capital, digit) was asked for."""
    return any(
        word.casefold() in asked.words
        for word in WORD.findall(text)
        if not word.islower() and word.casefold() not in ASKING
    )


def said_by(asked: Asked, speaker: str | None) -> bool:
    """Whether the question names who said it; of a name with several words one is enough."""
    return speaker is not None and not asked.all.isdisjoint(folded(speaker))


def content(text: str) -> list[str]:
    """The words that carry what a text says, folded."""
    return [word for word in folded(text) if word not in ASKING]


def asks(text: str) -> float:
    """Share of the sentences of `text` that are questions."""
    sentences = [one for one in SENTENCE.findall(text) if WORD.search(one)]
    return sum(one.endswith("?") for one in sentences) / max(len(sentences), 1)


@dataclass(frozen=True, slots=True)
class Print:
    """What is compared to tell whether two texts say the same."""

    stems: frozenset[str]
    telling: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Print:
        """`telling` are the words that make another fact of the same sentence, in their order: numbers,
        names, negations, and who it is about."""
        words = [word for word in WORD.findall(text) if word.casefold() not in FILLERS]
        telling = [
            word.casefold()
            for at, word in enumerate(words)
            if word.casefold() in _TELLING or (at and not word.islower()) or not word.isalpha()
        ]
        return cls(frozenset(_stem(word.casefold()) for word in words), tuple(telling))

    def alike(self, other: Print) -> bool:
        """Near-duplicates: the same telling words, and nearly all of the others (Jaccard of the stems)."""
        if self.telling != other.telling:
            return False
        both = len(self.stems & other.stems)
        return both >= ALIKE * (len(self.stems) + len(other.stems) - both)


def collapse(texts: Sequence[str], limit: int) -> list[tuple[int, int]]:
    """The first `limit` places in `texts` that repeat no earlier one, each with its repeats so far."""
    kept: list[tuple[int, Print]] = []
    repeats: dict[int, int] = {}
    for at, text in enumerate(texts):
        seen = Print.of(text)
        first = next((place for place, one in kept if one.alike(seen)), None)
        if first is not None:
            repeats[first] += 1
            continue
        if len(kept) == limit:
            break
        kept.append((at, seen))
        repeats[at] = 0
    return list(repeats.items())


_TELLING = frozenset(
    WORD.findall(
        "i me my mine we us our ours you your yours he him his she her hers it its they them their theirs"
        " no not never none nobody nothing nor without t don didn doesn isn wasn won can cannot"
    )
)


def _same_stem(a: str, b: str) -> bool:
    """Equal, or one is the other with up to three more letters ("dog", "dogs"; "run", "running" is not)."""
    if a[:1] != b[:1] or abs(len(a) - len(b)) > 3:  # nearly all end here
        return False
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    return long.startswith(short) and (len(long) == len(short) or len(short) > 2)


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word[: -len(ending)]
    return word
