"""Rows of the ledger split for a test, by conversation and by question, the same way every time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from env.datasets import Pair, Row, Unpaired


def split(data: Sequence[Row], fraction: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """(training, held out): about `fraction` of the rows held out, the same ones every time.

    No conversation and no question stands on both sides. Where words that are said everywhere ("go on")
    tie most conversations together, whole conversations are drawn, and their rows whose question is
    trained on stand on neither side. Where more than half was said in one conversation that would leave
    nothing to test with, and only the questions are kept apart (then a held-out prompt may still quote an
    earlier reply as history). Thumbs up and down are held out in the proportion they have in the ledger
    as far as whole groups allow.
    """
    want = round(len(data) * fraction)
    if want < 1:
        return list(data), []
    most = len(data) / 2
    for by in (("question", "conversation"), ("conversation",), ("question",)):
        groups = _groups(data, by)
        if max(len(group) for group in groups) <= most:
            break
    groups.sort(key=lambda group: hashlib.sha256(f"{seed}:{_key(data[group[0]])}".encode()).digest())
    room = {True: 0.0, False: 0.0}
    for row in data:
        room[_liked(row)] += fraction
    held: set[int] = set()
    for group in groups:
        labels = [_liked(data[at]) for at in group]
        # half a row over the quota is rounding, more would empty the training side of a rare label
        if all(room[label] - labels.count(label) >= -0.5 for label in set(labels)):
            held.update(group)
            for label in labels:
                room[label] -= 1
    asked = {row.prompt.question for at, row in enumerate(data) if at not in held}
    left = {at for at in held if data[at].prompt.question not in asked}
    talks = {data[at].conversation_id for at in left}
    # a conversation of which nothing is left to test with is one to train on
    gone = {at for at in held - left if data[at].conversation_id in talks}
    return (
        [row for at, row in enumerate(data) if at not in left | gone],
        [row for at, row in enumerate(data) if at in left],
    )


def _groups(data: Sequence[Row], by: Sequence[str]) -> list[list[int]]:
    """Indices of rows that belong together, transitively (union-find), `by` "question", "conversation"."""
    parent = list(range(len(data)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[tuple[str, str], int] = {}
    for at, row in enumerate(data):
        told = {"question": row.prompt.question, "conversation": row.conversation_id}
        for name in by:
            parent[root(at)] = root(first.setdefault((name, told[name]), at))
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(data)):
        groups[root(at)].append(at)
    return list(groups.values())


def _key(row: Unpaired | Pair) -> str:
    return f"{row.prompt.question}:{row.prompt.text}"


def _liked(row: Unpaired | Pair) -> bool:
    return row.label if isinstance(row, Unpaired) else True
