"""Which memories matter for what was just said: vectors and full text, usefulness and recency.

    relevance = similarity + WORDS * (share of the query's words found) + NAME (a name is found)
    score     = relevance + USEFUL * (2 usefulness - 1) + RECENT * 2 ** (-age / 30 days)

similarity is the cosine of the embeddings (all-MiniLM-L6-v2 gives sentences without relation 0.0 to 0.35).
What stays under FLOOR, or far behind the best, is not shown: a memory that does not matter costs tokens
and misleads a small model. The weights were set by hand on everyday questions (tests/memory/test_recall.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from memory.facts import Facts
from memory.in_step import InStep
from memory.records import Memory, Recalled
from memory.text import as_written
from memory.vector_index import VectorIndex

WORDS, NAME, USEFUL, RECENT = 0.2, 0.2, 0.08, 0.04
FLOOR = 0.36
BEHIND = 0.7  # of the best one's relevance
HALF_LIFE = 30 * 86_400.0
CANDIDATES = 24
WORD = re.compile(r"\w+")
QUERY_CHARACTERS = 2_000
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


@dataclass(frozen=True, slots=True)
class _Query:
    words: frozenset[str]

    @classmethod
    def of(cls, text: str) -> _Query:
        return cls(frozenset(word for word in WORD.findall(text.casefold()) if word not in ASKING))


class Recall:
    """Search over the memories, and the changes that keep the index in step with the database.

    The database has the last word: what it does not hold is never returned, and whatever the index
    lacks (another process wrote it, the folder was deleted, a process died between the two) is indexed
    before the next search.
    """

    def __init__(self, facts: Facts, index: VectorIndex) -> None:
        self.facts = facts
        self.index = index
        self._step = InStep(facts, index)

    def search(self, query: str, k: int = 5) -> list[Recalled]:
        """At most k memories that matter for `query`, best first; `parts` adds up to the score."""
        text = as_written(query[:QUERY_CHARACTERS])
        if k < 1 or not WORD.search(text) or not self.facts.any():
            return []
        similar = dict(self._step.query(text, max(CANDIDATES, 4 * k)))
        asked = _Query.of(text)
        by_word = self.facts.matching(sorted(asked.words), CANDIDATES)
        # A memory found by its words alone is at most as similar as the last one found by similarity.
        lowest = min(similar.values(), default=0.0)
        now = time.time()
        found: list[tuple[float, Recalled]] = []
        for memory in self.facts.many([*similar, *(one for one in by_word if one not in similar)]):
            relevance = {
                "similarity": similar.get(memory.id, lowest),
                "words": WORDS * _coverage(asked, memory.text, memory.id in by_word),
                "name": NAME * _names(asked, memory.text),
            }
            boosts = {
                "usefulness": USEFUL * (2 * memory.usefulness - 1),
                "recency": RECENT * 2 ** (-max(0.0, now - memory.created_at) / HALF_LIFE),
            }
            matters = sum(relevance.values()) + boosts["usefulness"]
            parts = {name: round(value, 4) for name, value in {**relevance, **boosts}.items() if value}
            found.append((matters, Recalled(memory.id, memory.text, round(sum(parts.values()), 4), parts)))
        best = max((matters for matters, _ in found), default=0.0)
        kept = [one for matters, one in found if matters >= max(FLOOR, BEHIND * best)]
        return sorted(kept, key=lambda one: -one.score)[:k]

    def remember(self, text: str, kind: str = "fact", source_message_id: str | None = None) -> Memory:
        return self._step.change(
            lambda: self.facts.remember(text, kind, source_message_id),
            lambda made: self.index.add([made.id], [made.text]),
        )

    def edit(self, memory_id: str, text: str) -> Memory:
        def follow(made: Memory) -> None:
            self.index.remove([memory_id])
            self.index.add([made.id], [made.text])

        return self._step.change(lambda: self.facts.edit(memory_id, text), follow)

    def forget(self, memory_id: str) -> list[str]:
        """Delete the memory and what it replaced from database and index; the ids that are gone."""
        gone = self._step.change(lambda: self.facts.forget(memory_id), self.index.remove)
        self.facts.db.scrub()  # not done in the transaction of a change
        return gone

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Fill the index anew from the database; how many memories it holds. `progress(done, all)`."""
        self.index.rebuild(self.facts.texts(), progress)
        return self.index.count()

    def sync(self, progress: Callable[[int, int], None] | None = None) -> bool:
        """Bring the index in step with the memories that hold; True when there was need."""
        return self._step.sync(progress)


def _coverage(asked: _Query, text: str, by_word: bool) -> float:
    """Share of the asked words in the text, matched by their first letters to fold inflections."""
    if not asked.words or not by_word:
        return 0.0
    held = [word for word in WORD.findall(text.casefold()) if word not in ASKING]
    hits = sum(any(_same_stem(word, other) for other in held) for word in asked.words)
    return hits / len(asked.words)


def _same_stem(a: str, b: str) -> bool:
    """Equal, or one is the other with up to three more letters ("dog", "dogs"; "run", "running" is not)."""
    short, long = sorted((a, b), key=len)
    return long.startswith(short) and (
        len(long) == len(short) or (len(short) > 2 and len(long) - len(short) <= 3)
    )


def _names(asked: _Query, text: str) -> bool:
    """Whether a word that is written like a name (capital, digit) was asked for."""
    return any(
        word.casefold() in asked.words
        for word in WORD.findall(text)
        if not word.islower() and word.casefold() not in ASKING
    )
