"""Is what was said found again? Questions about long conversations, and the turns that answer them.

A folder of LoCoMo conversations (Maharana et al. 2024, arXiv 2402.17753), one JSON file each:
{"id", "turns": [{"id", "session", "time", "speaker", "text", "caption"?}],
"questions": [{"question", "evidence": [turn ids], "category", "flagged"}]}. Categories: 1 multi-hop,
2 temporal, 3 open-domain, 4 single-hop; 5 has no answer and is left out. Questions that are `flagged` have a
label that an audit found wrong; "clean" is without them.

The figure is the share of a question's evidence turns among the first k that come back, averaged over the
questions. Whatever remembers turns and finds them again can be measured (`Remembers`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from env.bench.errors import BenchCancelled, BenchError

Progress = Callable[[float, str], None]
KS = (5, 10, 25)
UNANSWERABLE = 5
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
TURN = re.compile(r"D\d+:\d+")
TIMES = ("%I:%M %p on %d %B, %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
# Of the work on a conversation, the share that goes into storing its turns.
STORING = 0.6


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; `at` is Unix seconds (local time), None when its time could not be read."""

    id: str
    session: str
    speaker: str
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the ids of the turns that answer it, its category, and whether its label is doubtful."""

    text: str
    evidence: frozenset[str]
    category: int
    flagged: bool


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation, and what is asked about it."""

    id: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


# The conversation, the question, and the share of its evidence among the first k.
Row = tuple[str, Question, dict[int, float]]


class Remembers(Protocol):
    """What is measured, empty at first: one for each conversation."""

    def store(self, turns: Sequence[Turn], progress: Callable[[int, int], None]) -> None: ...

    def find(self, question: str, k: int) -> Sequence[str]:
        """Ids of at most k turns, best first."""
        ...

    def close(self) -> None: ...


def load(folder: Path) -> list[Talk]:
    """The conversations of a folder. Raises BenchError with the file and what is wrong with it."""
    if not folder.is_dir():
        raise BenchError(f"{folder} is not a folder; name one with LoCoMo conversations (*.json).")
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise BenchError(f"{folder} holds no *.json file; name a folder with LoCoMo conversations.")
    talks = [_talk(path) for path in paths]
    if not any(talk.questions for talk in talks):
        raise BenchError(
            f"No question in {folder} names a turn that answers it; there is nothing to measure."
        )
    return talks


def run(
    talks: Sequence[Talk],
    remembers: Callable[[], Remembers],
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """{"n", "clean": {"5", "10", "25"}, "all": {…}, "by_category": {"1": {"name", "n", "5", …}, …}}.

    "n" counts all questions, "clean" those without doubtful labels; the categories and "by_conversation" are
    of clean labels. Raises BenchCancelled between two steps.
    """
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    rows: list[Row] = []
    for number, talk in enumerate(talks):

        def at(share: float, text: str, number: int = number, name: str = talk.id) -> None:
            if stop():
                raise BenchCancelled
            tell((number + share) / len(talks), f"{name}: {text}")

        rows += _asked(talk, remembers, at)
    clean = [row for row in rows if not row[1].flagged]
    return {
        "n": len(rows),
        "n_clean": len(clean),
        "clean": _means(shares for _, _, shares in clean),
        "all": _means(shares for _, _, shares in rows),
        "by_category": {
            str(category): {"name": CATEGORIES.get(category, "other"), **_group(clean, category=category)}
            for category in sorted({question.category for _, question, _ in clean})
        },
        "by_conversation": {talk.id: _group(clean, talk=talk.id) for talk in talks},
    }


def _asked(talk: Talk, remembers: Callable[[], Remembers], at: Progress) -> list[Row]:
    at(0.0, "storing")
    memory = remembers()
    try:
        memory.store(
            talk.turns, lambda done, total: at(STORING * done / max(total, 1), f"{done} of {total} turns")
        )
        rows: list[Row] = []
        for asked, question in enumerate(talk.questions):
            share = STORING + (1 - STORING) * asked / len(talk.questions)
            at(share, f"question {asked + 1} of {len(talk.questions)}")
            found = memory.find(question.text, max(KS))
            rows.append((talk.id, question, {k: _recall(found[:k], question.evidence) for k in KS}))
        return rows
    finally:
        memory.close()


def as_table(result: dict[str, Any]) -> str:
    """The result as lines: a row for each group of questions, a column for each k."""
    lines = [f"{'':24}{'n':>6}" + "".join(f"{f'@{k}':>8}" for k in KS)]

    def row(name: str, n: int, figures: dict[str, Any]) -> None:
        values = "".join(f"{figures[str(k)]:8.3f}" if figures[str(k)] is not None else "       -" for k in KS)
        lines.append(f"{name:24}{n:>6}{values}")

    row("clean labels", result["n_clean"], result["clean"])
    for key, group in result["by_category"].items():
        row(f"  {key} {group['name']}", group["n"], group)
    for key, group in result["by_conversation"].items():
        row(f"  {key}", group["n"], group)
    row("all labels", result["n"], result["all"])
    return "\n".join(lines)


def _recall(found: Iterable[str], evidence: frozenset[str]) -> float:
    return len(set(found) & evidence) / len(evidence)


def _means(rows: Iterable[dict[int, float]]) -> dict[str, float | None]:
    every = list(rows)
    return {str(k): sum(row[k] for row in every) / len(every) if every else None for k in KS}


def _group(
    rows: Sequence[tuple[str, Question, dict[int, float]]],
    category: int | None = None,
    talk: str | None = None,
) -> dict[str, Any]:
    chosen = [
        shares
        for of, question, shares in rows
        if (category is None or question.category == category) and (talk is None or of == talk)
    ]
    return {"n": len(chosen), **_means(chosen)}


def _talk(path: Path) -> Talk:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        turns = tuple(
            Turn(
                id=str(turn["id"]),
                session=str(turn.get("session", "")),
                speaker=str(turn["speaker"]),
                text=" ".join(f"{turn['text']} {turn.get('caption') or ''}".split()),
                at=_time(str(turn.get("time", ""))),
            )
            for turn in told["turns"]
        )
        known = {turn.id for turn in turns}
        questions = tuple(
            Question(str(one["question"]), evidence, int(one["category"]), bool(one.get("flagged")))
            for one in told["questions"]
            if int(one["category"]) != UNANSWERABLE
            and (evidence := frozenset(_evidence(one.get("evidence"), known)))
        )
        return Talk(str(told.get("id", path.stem)), turns, questions)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise BenchError(
            f"{path} is not a LoCoMo conversation ({type(wrong).__name__}: {wrong}); "
            "correct it or move it away."
        ) from wrong


def _evidence(named: Any, known: set[str]) -> set[str]:
    """Turn ids; the published labels have several in one string here and there ("D8:6; D9:17")."""
    texts = [str(one) for one in named or ()]
    return ({*texts} | {*TURN.findall(" ".join(texts))}) & known


def _time(text: str) -> float | None:
    for form in TIMES:
        try:
            return datetime.strptime(text.strip().upper() if "%p" in form else text.strip(), form).timestamp()
        except ValueError:
            continue
    return None
