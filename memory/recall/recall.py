"""Which memories matter for what was just said: vectors and full text, fused and explained.

Both retrievers bring a list of bounded length; `ranking.py` has the sum that orders them together. Neither
reads all memories, so a search in a hundred thousand costs little more than one in a thousand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from memory.facts import Facts
from memory.index.in_step import InStep, Progress
from memory.index.vector_index import VectorIndex
from memory.recall.full_text import FullText
from memory.recall.ranking import BEHIND, FLOOR, Question, candidates, matters, parts
from memory.recall.surroundings import Surroundings
from memory.recall.time_words import windows
from memory.records import Memory, Place, Recalled
from memory.statements.words import WORD, Asked, collapse
from memory.text import as_written

# What each retriever brings, and how many of both together are looked at more closely, at least.
NEAR, BY_WORD, CLOSER = 50, 50, 20
QUERY_CHARACTERS = 2_000
TURN = "turn"
TURNS = 64


class Recall:
    """Search over the memories, and the changes that keep the index in step with the database."""

    def __init__(self, facts: Facts, index: VectorIndex) -> None:
        self.facts = facts
        self.index = index
        self.full_text = FullText(facts.db)
        self.around = Surroundings(facts.db)
        self._step = InStep(self.around, index)

    def search(
        self, query: str, k: int = 5, *, floor: bool = True, now: float | None = None
    ) -> list[Recalled]:
        """At most k memories that matter for `query`, best first; `parts` adds up to the score.

        What stays under the floor, or far behind the best, is left out; without `floor` it is only ranked.
        Of memories that say the same the best one stands for all. `now` (Unix seconds) is when the question
        is asked: "last week" counts from there.
        """
        text = as_written(query[:QUERY_CHARACTERS])
        if k < 1 or not WORD.search(text) or not self.facts.any():
            return []
        self._refresh()
        asked_at = time.time() if now is None else now
        question = Question(Asked.of(text), windows(text, asked_at), asked_at)
        near = self._step.query(text, max(NEAR, 4 * k))
        by_word = self.full_text.matching(question.asked.sought, max(BY_WORD, 4 * k))
        chosen = candidates(near, by_word, max(CLOSER, 4 * k))
        found: list[tuple[float, Recalled]] = []
        enough = FLOOR
        for memory in self.facts.many(list(chosen)):
            candidate = chosen[memory.id]
            made_of = parts(question, memory, candidate)
            score = round(sum(made_of.values()), 4)
            one = Recalled(memory.id, memory.text, score, made_of, candidate.ranks)
            value = matters(question, memory, candidate, made_of, enough) if floor else 0.0
            enough = max(enough, BEHIND * value)
            found.append((value, one))
        kept = [one for value, one in found if value >= enough or not floor]
        ranked = sorted(kept, key=lambda one: -one.score)
        return [_standing_for(ranked[at], repeats) for at, repeats in collapse([r.text for r in ranked], k)]

    def remember(
        self,
        text: str,
        kind: str = "fact",
        source_message_id: str | None = None,
        *,
        place: Place | None = None,
    ) -> Memory:
        """Save a memory (see Facts.remember) and index it; what it takes the place of leaves the index."""
        return self._step.change(
            lambda: self.facts.remember(text, kind, source_message_id, place=place),
            lambda made: self._follow([made.id], self.facts.replaced_by(made.id)),
        )

    def remember_turns(
        self, turns: Sequence[tuple[str, Place]], progress: Progress | None = None
    ) -> list[Memory]:
        """Save a conversation turn by turn, each (text, its place); `progress(done, all)` after every batch.

        Each batch is one transaction and is embedded together, which is several times as fast as one by one.
        """
        made: list[Memory] = []
        for start in range(0, len(turns), TURNS):
            some = turns[start : start + TURNS]
            made += self._step.change(
                lambda some=some: [self.facts.remember(text, TURN, place=place) for text, place in some],  # type: ignore[misc]
                lambda batch: self._follow([memory.id for memory in batch]),
            )
            if progress:
                progress(len(made), len(turns))
        return made

    def edit(self, memory_id: str, text: str) -> Memory:
        """A new memory in the place of an old one, in the index as well (see Facts.edit)."""
        return self._step.change(
            lambda: self.facts.edit(memory_id, text),
            lambda made: self._follow([made.id], [memory_id, *self.facts.replaced_by(made.id)]),
        )

    def forget(self, memory_id: str) -> list[str]:
        """Delete the memory and what it replaced from database and index; the ids that are gone."""
        gone = self._step.change(lambda: self.facts.forget(memory_id), lambda gone: self._follow((), gone))
        self.facts.db.scrub()  # not done in the transaction of a change
        return gone

    def stale(self) -> list[str]:
        """Memories whose vector still knows one that is forgotten; the next `sync` makes it anew."""
        return self.around.stale()

    def rebuild(self, progress: Progress | None = None) -> int:
        """Fill the index anew from the database; how many memories it holds. `progress(done, all)`."""
        stale = self.around.stale()
        self.index.rebuild(self.around.passages(), progress)
        self.around.refreshed(stale)
        return self.index.count()

    def sync(self, progress: Progress | None = None) -> bool:
        """Bring the index in step with the memories that hold; True when there was need."""
        refreshed = self._refresh()
        return self._step.sync(progress) or refreshed

    def _refresh(self) -> bool:
        """Embed those anew whose surroundings changed and whose vector did not, as when a process died."""
        if not self.around.stale():
            return False
        self._follow(())
        return True

    def _follow(self, new: Sequence[str], gone: Sequence[str] = ()) -> None:
        """Do in the index what was done in the database, and for those around what is new or gone."""
        self.index.remove(list(dict.fromkeys(gone)))  # Chroma takes no id twice
        stale = self.around.stale()
        some = self.around.passages(dict.fromkeys([*new, *stale]))
        self.index.add([one for one, _ in some], [text for _, text in some])
        if stale:
            self.around.refreshed(stale)


def _standing_for(one: Recalled, repeats: int) -> Recalled:
    if not repeats:
        return one
    return Recalled(one.memory_id, one.text, one.score, one.parts, {**one.ranks, "repeats": repeats})
