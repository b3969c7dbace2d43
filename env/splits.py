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
    for by in (("question", "conversation"), ("conversation",), ("question",)):
        groups = _groups(data, by)
        held, gone = _drawn(data, groups, fraction, seed)
        # whole conversations that share their questions leave little to test with: by question, then
        little = by == ("conversation",) and not (held and len(gone) <= len(held))
        if max(map(len, groups)) <= len(data) / 2 and not little:
            break
    return (
        [row for at, row in enumerate(data) if at not in held | gone],
        [row for at, row in enumerate(data) if at in held],
    )


def split_questions(data: Sequence[Row], fraction: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """As `split`, with no question on both sides and conversations on either: the quotas of thumbs up and
    down are met best so, and a held-out prompt may quote a reply that was trained on as history."""
    held, _ = _drawn(data, _groups(data, ("question",)), fraction, seed)
    return (
        [row for at, row in enumerate(data) if at not in held],
        [row for at, row in enumerate(data) if at in held],
    )


def _drawn(
    data: Sequence[Row], groups: list[list[int]], fraction: float, seed: int
) -> tuple[set[int], set[int]]:
    """(held out, on neither side): whole `groups`, but for rows whose question is asked outside of them."""
    groups = sorted(
        groups, key=lambda group: hashlib.sha256(f"{seed}:{_key(data[group[0]])}".encode()).digest()
    )
    room = {True: 0.0, False: 0.0}
    for row in data:
        room[_liked(row)] += fraction
    drawn: set[int] = set()
    for group in groups:
        labels = [_liked(data[at]) for at in group]
        # half a row over the quota is rounding, more would empty the training side of a rare label
        if all(room[label] - labels.count(label) >= -0.5 for label in set(labels)):
            drawn.update(group)
            for label in labels:
                room[label] -= 1
    asked = {row.prompt.question for at, row in enumerate(data) if at not in drawn}
    held = {at for at in drawn if data[at].prompt.question not in asked}
    talks = {data[at].conversation_id for at in held}
    # a conversation of which nothing is left to test with is one to train on
    return held, {at for at in drawn - held if data[at].conversation_id in talks}


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
