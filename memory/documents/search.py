"""Which passages answer a question: vectors and full text over small passages, each seen with its neighbours.

    relevance(p) = cosine(question, p in its context)
                 + WORDS * (coverage(p) + BESIDE * (coverage(before p) + coverage(after p)))
    coverage(p)  = idf of the question's words that p or its headings hold / idf of all of them

A passage in its context is the unit vector of v(p) + AROUND * (v(before p) + v(after p)): a sentence that
says "it" is found by what stands beside it, and each text is embedded once. idf is that of BM25
(Robertson and Zaragoza 2009, eq. 3.3 with no relevance known, plus one so that it stays positive).
Nothing is returned when no passage is as similar as FLOOR, since words alone prove little ("What time is
it?"). Nor is what is far behind the best passage: how many passages there are follows from the question and
not from the budget. Neighbours that were found are joined into one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from memory.documents.records import place
from memory.documents.store import DocumentStore, Row
from memory.errors import AttuneError
from memory.index.vector_index import VectorIndex
from memory.recall.recall import QUERY_CHARACTERS
from memory.records import Passage
from memory.statements.words import WORD, Asked
from memory.text import as_written

if TYPE_CHECKING:
    import numpy as np

AROUND = WORDS = BESIDE = 0.5
FLOOR = 0.36  # as for memories: most talk about something else stays below it
BEHIND = 0.6  # of the best one's relevance
CANDIDATES = 200
BUDGET = 1_000  # tokens
WINDOW = 1_000  # vectors that are put into their context at a time


def about(text: str) -> int:
    """Roughly how many tokens a text has, for whoever has no tokenizer at hand."""
    return math.ceil(len(text) / 4)


class PassageSearch:
    """Search over the passages of a store, and an index that is kept in step with it."""

    def __init__(self, store: DocumentStore, index: VectorIndex) -> None:
        self.store = store
        self.index = index
        self._lock = threading.RLock()
        self._in_step: tuple[object, object] | None = None  # the passages and the index, as they were then

    def search(
        self,
        query: str,
        budget: int = BUDGET,
        count: Callable[[str], int] = about,
        most: int | None = None,
    ) -> list[Passage]:
        """The passages that matter for `query`, best first, of at most `budget` tokens by `count`.

        `most` limits how many there are after neighbours were joined. Nothing is returned for nothing.
        """
        text = as_written(query[:QUERY_CHARACTERS])
        total = self.store.state()[0]
        if budget < 1 or not WORD.search(text) or not total:
            return []
        self.sync()
        similar = {int(one): cosine for one, cosine in self.index.query(text, CANDIDATES)}
        if max(similar.values(), default=0.0) < FLOOR:
            return []
        ranked, rows = self._ranked(similar, self._coverage(text, total))
        chosen: set[int] = set()
        left = budget
        for one, (score, _) in ranked:
            if score < BEHIND * ranked[0][1][0]:
                break
            left -= count(rows[one].text)
            if left < 0:
                break
            chosen.add(one)
            if most is not None and len(_runs(chosen)) > most:
                chosen.discard(one)
                left += count(rows[one].text)
        return self._joined(chosen, dict(ranked), rows)

    def _coverage(self, text: str, total: int) -> dict[int, float]:
        """Passage id -> share of the question's words that it holds, each word by its idf."""
        not_mine = self.store.of_others()
        weights = 0.0
        held: dict[int, float] = {}
        for word in sorted(Asked.of(text).sought):
            ids = [one for one in self.store.holding(word) if one not in not_mine]
            idf = math.log(1 + max(total - len(ids) + 0.5, 0.0) / (len(ids) + 0.5))
            weights += idf
            for one in ids:
                held[one] = held.get(one, 0.0) + idf
        return {one: value / weights for one, value in held.items()} if weights else {}

    def _ranked(
        self, similar: dict[int, float], coverage: dict[int, float]
    ) -> tuple[list[tuple[int, tuple[float, dict[str, float]]]], dict[int, Row]]:
        beside = {one: coverage.get(one - 1, 0.0) + coverage.get(one + 1, 0.0) for one in coverage}
        by_words = sorted(coverage, key=lambda one: (-coverage[one] - BESIDE * beside[one], one))[:CANDIDATES]
        rows = self.store.rows([*{*similar, *by_words}])
        # A passage found by its words alone is at most as similar as the last one found by similarity.
        lowest = min(similar.values(), default=0.0)
        found = []
        for one in rows:
            around = coverage.get(one - 1, 0.0) + coverage.get(one + 1, 0.0)
            parts = {
                "similarity": similar.get(one, lowest),
                "words": WORDS * coverage.get(one, 0.0),
                "words beside": WORDS * BESIDE * around,
            }
            found.append((one, (sum(parts.values()), parts)))
        return sorted(found, key=lambda pair: (-pair[1][0], pair[0])), rows

    def _joined(
        self, chosen: set[int], scores: dict[int, tuple[float, dict[str, float]]], rows: dict[int, Row]
    ) -> list[Passage]:
        runs = _runs(chosen)
        documents = self.store.documents([rows[run[0]].document_id for run in runs])
        found = []
        for run in runs:
            best = max(run, key=lambda one: scores[one][0])
            first, last = rows[run[0]], rows[run[-1]]
            document = documents.get(first.document_id)
            if document is None:  # forgotten by another process between two queries
                continue
            parts = {name: round(value, 4) for name, value in scores[best][1].items() if value}
            found.append(
                Passage(
                    ids=tuple(run),
                    document_id=document.id,
                    path=document.path,
                    place=place(document.unit, first.from_unit, max(rows[one].to_unit for one in run)),
                    text="\n".join(rows[one].text for one in run),
                    score=round(sum(parts.values()), 4),
                    parts=parts,
                    heading=first.heading,
                    begin=first.begin_at,
                    end=last.end_at,
                )
            )
        return sorted(found, key=lambda one: -one.score)

    # --- the index ------------------------------------------------------------------------------

    def vectors(
        self, rows: Sequence[Row], progress: Callable[[int, int], None] | None = None, batch: int = 32
    ) -> np.ndarray:
        """One unit vector for each passage of a document, in its context. `progress(done, all)` may raise.

        A row of float32 each: as lists of Python's floats those of a long document would fill the memory.
        """
        import numpy as np

        made = np.empty((len(rows), self.index.embedder.dimension), dtype=np.float32)
        for start in range(0, len(rows), batch):
            texts = [row.text for row in rows[start : start + batch]]
            made[start : start + batch] = self.index.embedder.embed(texts)
            if progress:
                progress(start + len(texts), len(rows))
        put_in_context(made)
        return made

    def sync(self) -> bool:
        """Bring the index in step with the passages; True when there was need.

        The database has the last word: what the index lacks (its folder was deleted, a process died before
        it reached the index) is embedded again, and what it has beyond is removed.
        """
        with self._lock:
            mended = False
            # Each turn looks again at what the one before has mended; others may write all the while.
            for _ in range(3):
                state = self.store.state(), self.index.state()
                if state == self._in_step:
                    return mended
                if self._in_step is not None and state[0] != self._in_step[0]:
                    # Perhaps another process learned: Chroma reads what that wrote only when it is opened.
                    self.index.reopen()
                    state = state[0], self.index.state()
                held, there = set(self.store.passage_ids()), {int(one) for one in self.index.ids()}
                if not self.index.finds(map(str, there)):
                    self.index.clear()
                    there = set()
                if held == there:
                    self._in_step = state
                    return mended
                self._in_step = None
                self._mend(held, there)
                mended = True
            return mended

    def _mend(self, held: set[int], there: set[int]) -> None:
        self.index.remove([str(one) for one in sorted(there - held)])
        missing = held - there
        for document_id in sorted({row.document_id for row in self.store.rows(sorted(missing)).values()}):
            rows = self.store.rows_of(document_id)
            lacking = [at for at, row in enumerate(rows) if row.id in missing]
            self.index.put([str(rows[at].id) for at in lacking], self.vectors(rows)[lacking])

    def quietly(self, change: Callable[[], Any]) -> None:
        """The database already holds the change durably; an index that fails catches up in `sync`."""
        try:
            with self._lock:
                change()
        except AttuneError:
            pass


def put_in_context(vectors: np.ndarray) -> None:
    """Add to each row AROUND of its neighbours, at unit length again: in place, and a window at a time."""
    import numpy as np

    nothing = np.zeros_like(vectors[:1])
    before = nothing
    for start in range(0, len(vectors), WINDOW):
        window, after = vectors[start : start + WINDOW], vectors[start + WINDOW : start + WINDOW + 1]
        alone = np.concatenate((before, window, after if len(after) else nothing))
        before = alone[-2:-1]  # of the next window, as it was
        window += AROUND * alone[:-2]
        window += AROUND * alone[2:]
        lengths = np.linalg.norm(window, axis=1, keepdims=True)
        lengths[lengths == 0.0] = 1.0
        window /= lengths


def _runs(ids: set[int]) -> list[list[int]]:
    """Ids that follow each other, together. A document's ids do, and those of two documents never."""
    runs: list[list[int]] = []
    for one in sorted(ids):
        if runs and one == runs[-1][-1] + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs
