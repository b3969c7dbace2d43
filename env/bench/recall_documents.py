"""Passages from documents: token-level recall, precision and IoU under a budget, beside a plain splitter.

The folder is that of brandonstarxel/chunking_evaluation: `questions_df.csv` (question, references as JSON
with `start_index` and `end_index` in characters, corpus_id) and `corpora/<corpus_id>.md`. For each question

    recall = |found \u2229 wanted| / |wanted|     precision = |found \u2229 wanted| / |found|
    IoU    = |found \u2229 wanted| / |found \u222a wanted|

over the tokens of the corpus (Smith and Troynikov 2024, "Evaluating Chunking Strategies for Retrieval"), and
then the mean over questions. A token belongs to a span when it begins in it.

It does not know what finds passages: `search` is anything that returns spans, best first.
"""

from __future__ import annotations

import csv
import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from env.bench.errors import BenchError

Span = tuple[int, int]
# A question and a budget in tokens -> spans of the corpus, best first.
Search = Callable[[str], Sequence[Span]]
Figures = dict[str, float]
NAMES = ("recall", "precision", "iou")
# Tried in this order, as RecursiveCharacterTextSplitter does with the list of that evaluation.
SEPARATORS = ("\n\n", "\n", ".", "?", "!", " ", "")


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    wanted: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """`starts` are the offsets at which the tokens of `text` begin."""

    name: str
    path: Path
    text: str
    questions: tuple[Question, ...]
    starts: tuple[int, ...]

    def tokens(self, span: Span) -> range:
        return range(bisect_left(self.starts, span[0]), bisect_left(self.starts, span[1]))


def load(folder: Path, tokens: Callable[[str], Sequence[int]]) -> list[Corpus]:
    """The corpora of a folder, by name; `tokens` gives the offset of each token. Raises BenchError."""
    asked: dict[str, list[Question]] = {}
    try:
        with (folder / "questions_df.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                spans = [
                    (int(one["start_index"]), int(one["end_index"])) for one in json.loads(row["references"])
                ]
                asked.setdefault(row["corpus_id"], []).append(Question(row["question"], tuple(spans)))
        found = []
        for name, questions in sorted(asked.items()):
            path = folder / "corpora" / f"{name}.md"
            with path.open(encoding="utf-8", newline="") as file:
                text = file.read()
            found.append(Corpus(name, path, text, tuple(questions), tuple(tokens(text))))
    except (OSError, KeyError, ValueError) as wrong:
        raise BenchError(
            f"{folder} cannot be read ({wrong}); name a folder with questions_df.csv and corpora/."
        ) from wrong
    if not found:
        raise BenchError(f"{folder} holds no question.")
    return found


def score(corpus: Corpus, question: Question, spans: Sequence[Span]) -> Figures:
    """Recall, precision and IoU of what was found for a question."""
    wanted = {token for span in question.wanted for token in corpus.tokens(span)}
    found = {token for span in spans for token in corpus.tokens(span)}
    both = len(wanted & found)
    return {
        "recall": both / len(wanted) if wanted else 1.0,
        "precision": both / len(found) if found else 0.0,
        "iou": both / len(wanted | found) if wanted | found else 0.0,
    }


def run(
    corpora: Sequence[Corpus],
    arms: dict[str, Callable[[Corpus], Search]],
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """{"n", <arm>: figures, "by_corpus": {name: {"n", <arm>: figures}}}; an arm is built once a corpus."""
    say = progress or (lambda share, stage: None)
    all_figures: dict[str, list[Figures]] = {arm: [] for arm in arms}
    by_corpus: dict[str, Any] = {}
    done, size = 0, sum(len(corpus.text) for corpus in corpora) * len(arms)
    for corpus in corpora:
        mine: dict[str, Any] = {"n": len(corpus.questions)}
        for arm, build in arms.items():
            say(done / size, f"{corpus.name}, {arm}")
            search = build(corpus)
            figures = [score(corpus, question, search(question.text)) for question in corpus.questions]
            mine[arm] = _mean(figures)
            all_figures[arm] += figures
            done += len(corpus.text)
        by_corpus[corpus.name] = mine
    total = {arm: _mean(figures) for arm, figures in all_figures.items()}
    return {"n": sum(one["n"] for one in by_corpus.values()), **total, "by_corpus": by_corpus}


def _mean(figures: Sequence[Figures]) -> Figures:
    return {name: round(math.fsum(one[name] for one in figures) / len(figures), 4) for name in NAMES}


class PlainSplitter:
    """The other arm: a recursive character splitter, and the nearest chunks until the budget is full."""

    def __init__(
        self,
        corpus: Corpus,
        embed: Callable[[Sequence[str]], list[list[float]]],
        budget: int,
        size: int = 400,
        batch: int = 32,
    ) -> None:
        import numpy as np

        self._spans = list(split(corpus.text, size))
        self._corpus, self._embed, self._budget = corpus, embed, budget
        vectors: list[list[float]] = []
        for start in range(0, len(self._spans), batch):
            vectors += embed([corpus.text[begin:end] for begin, end in self._spans[start : start + batch]])
        self._vectors = np.asarray(vectors, dtype=np.float32)

    def __call__(self, question: str) -> list[Span]:
        import numpy as np

        [asked] = self._embed([question])
        order = np.argsort(-(self._vectors @ np.asarray(asked, dtype=np.float32)))
        found, left = [], self._budget
        for number in order:
            span = self._spans[int(number)]
            left -= len(self._corpus.tokens(span))
            if left < 0:
                break
            found.append(span)
        return found


def split(text: str, size: int) -> Iterator[Span]:
    """Chunks of at most `size` characters without the white space around them, as LangChain's
    RecursiveCharacterTextSplitter cuts them (a separator begins the next piece, no overlap)."""
    for begin, end in _split(text, 0, SEPARATORS, size):
        chunk = text[begin:end]
        begin += len(chunk) - len(chunk.lstrip())
        end -= len(chunk) - len(chunk.rstrip())
        if begin < end:
            yield begin, end


def _split(text: str, at: int, separators: Sequence[str], size: int) -> Iterator[Span]:
    """`text` stands at offset `at`. What the first separator that occurs parts is joined up to `size`."""
    separator, rest = separators[-1], separators[len(separators) :]
    for number, one in enumerate(separators):
        if not one or one in text:
            separator, rest = one, separators[number + 1 :]
            break
    parts = re.split(f"(?={re.escape(separator)})", text) if separator else list(text)
    begin = end = at
    for part in parts:
        if len(part) > size and rest:
            if begin < end:
                yield begin, end
            yield from ((one + end, two + end) for one, two in _split(part, 0, rest, size))
            begin = end = end + len(part)
            continue
        if begin < end and end + len(part) - begin > size:
            yield begin, end
            begin = end
        end += len(part)
    if begin < end:
        yield begin, end


def as_table(result: dict[str, Any]) -> str:
    """The result as lines for a person."""
    lines = [f"{result['n']} questions        " + "".join(f"{name:>22}" for name in NAMES)]
    arms = [name for name in result if name not in ("n", "by_corpus", "settings")]
    for title, figures in {"all": result, **result["by_corpus"]}.items():
        for arm in arms:
            shown = "".join(f"{figures[arm][name]:22.4f}" for name in NAMES)
            lines.append(f"{title:<20}{arm:<10}{shown}")
    return "\n".join(lines)
