"""How well a memory fits a question: pure sums, each part with its name.

    score = similarity + WORDS * (BM25 / the best one's) + NAME (a name is found)
            + SPEAKER (the question names who said it) + TIME * (told in a time that it names)
            + SUBSTANCE * (ln(content words / 10) - share of questions)       for turns of a conversation
            + USEFUL * (2 usefulness - 1) + RECENT * 2 ** (-age / 30 days)

similarity is the cosine of the embeddings (all-MiniLM-L6-v2 gives sentences without relation 0.0 to 0.35).
The weights are round numbers in units of it; docs/memory.md says what each part is worth, and that none of
them depends on the conversations that it was measured on.

What a small model is shown is decided by less (`matters`): a memory that does not matter costs tokens and
misleads, and of a long list of bad ones some are always recent, or told in May.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from memory.recall.time_words import Window, fits
from memory.records import Memory
from memory.statements.words import Asked, asks, content, coverage, names, said_by

WORDS, NAME, SPEAKER, TIME, SUBSTANCE, USEFUL, RECENT = 0.4, 0.2, 0.2, 0.2, 0.1, 0.08, 0.04
PARTS = ("similarity", "words", "name", "speaker", "time", "substance", "usefulness", "recency")
# A turn is as good as another from 30 words on, and "Wow, cool!" is as empty as "Wow!".
FEW, USUAL, MANY = 3, 10, 30
HALF_LIFE = 30 * 86_400.0
FLOOR = 0.36
BEHIND = 0.7  # of the best one's
SHARE = 0.2  # of the asked words, in what `matters` adds up


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: its words, the times that it names, and when it was asked (Unix seconds)."""

    asked: Asked
    times: tuple[Window, ...]
    now: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the retrievers said of a memory: cosine and relative BM25 (0 to 1), and its places (from 1) in
    their lists, 0 where it is not in one."""

    similarity: float
    words: float
    near: int
    text: int

    @property
    def ranks(self) -> dict[str, int]:
        places = {"vectors": self.near, "full text": self.text}
        return {name: place for name, place in places.items() if place}


def candidates(
    near: Iterable[tuple[str, float]], text: Iterable[tuple[str, float]], limit: int
) -> dict[str, Candidate]:
    """The best `limit` of both lists, (id, cosine) and (id, BM25), best first, by cosine and words alone.

    A memory that only its words found is taken to be as similar as the last one in the other list: it can
    be no nearer, or it would be there.
    """
    cosines = {one: (place, value) for place, (one, value) in enumerate(near, 1)}
    scores = {one: (place, value) for place, (one, value) in enumerate(text, 1)}
    last = min((value for _, value in cosines.values()), default=0.0)
    best = max((value for _, value in scores.values()), default=0.0) or 1.0
    nowhere = (0, 0.0)
    sums = {
        one: cosines.get(one, (0, last))[1] + WORDS * scores.get(one, nowhere)[1] / best
        for one in {**cosines, **scores}
    }
    found = {}
    for one in sorted(sums, key=sums.__getitem__, reverse=True)[:limit]:
        (at, cosine), (place, score) = cosines.get(one, (0, last)), scores.get(one, nowhere)
        found[one] = Candidate(cosine, score / best, at, place)
    return found


def parts(question: Question, memory: Memory, found: Candidate) -> dict[str, float]:
    """What the score of a memory is the sum of; parts that are nothing are left out."""
    told = memory.created_at if memory.told_at is None else memory.told_at
    every = {
        "similarity": found.similarity,
        "words": WORDS * found.words,
        "name": NAME * names(question.asked, memory.text),
        "speaker": SPEAKER * said_by(question.asked, memory.told_by),
        "time": TIME * fits(told, question.times) if question.times else 0.0,
        "substance": SUBSTANCE * substance(memory.text) if memory.thread is not None else 0.0,
        "usefulness": USEFUL * (2 * memory.usefulness - 1),
        "recency": RECENT * 2 ** (-max(0.0, question.now - told) / HALF_LIFE),
    }
    return {name: rounded for name in PARTS if (rounded := round(every[name], 4))}


def matters(
    question: Question,
    memory: Memory,
    found: Candidate,
    made_of: dict[str, float],
    enough: float = FLOOR,
) -> float:
    """What is compared with FLOOR: what the memory itself says, not when or by whom it was said.

    Below `enough` the sum may be without its words: they are only looked at where they could reach it.
    """
    base = found.similarity + made_of.get("name", 0.0) + made_of.get("usefulness", 0.0)
    if not found.text or base + SHARE < enough:
        return base
    return base + SHARE * coverage(question.asked, memory.text)


def substance(text: str) -> float:
    """Above 0 for a turn that says much, below for small talk and for questions: -2.2 to 1.1."""
    said = min(max(len(content(text)), FEW), MANY)
    return math.log(said / USUAL) - asks(text)
