"""What is kept out of training for the gate: half of it by time, half of it by conversation and question.

Whole conversations from the newest end tell whether what was learned still holds now, which a random
split cannot (a taste may have drifted); a random split tells whether it holds across everything that was
ever rated, which a handful of new conversations cannot. Where the newest conversation alone is more than
half, it may be up to all of it: without it there would be no split by time.

Where conversations are long, no whole one may fit into what is held out, or all that fits may be liked. Then
single questions are held out, of any conversation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from env.datasets import Row
from env.splits import split, split_questions


def hold_out_telling(
    data: Sequence[Row], fraction: float, tells: Callable[[Sequence[Row]], bool], seed: int = 0
) -> tuple[list[Row], list[Row]]:
    """(training, held out) of the first way to cut that leaves something of which `tells` is true: whole
    conversations (`hold_out`), then single questions, the newest ones among them, then any. All of `data`
    and nothing where none does.
    """
    for cut in (hold_out, _questions_of_late, split_questions):
        training, held = cut(data, fraction, seed)
        if tells(held):
            return training, held
    return list(data), []


def hold_out(data: Sequence[Row], fraction: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """(training, held out), each in the order of `data`: about `fraction` of the rows held out.

    No conversation and no question stands on both sides, but for the exception in `env.splits.split`
    (most was said in one conversation). A row of a held-out conversation whose question is trained on
    stands on neither. Deterministic.
    """
    want = round(len(data) * fraction)
    late, neither = _newest(data, want)
    early = [at for at in range(len(data)) if at not in late | neither]
    rest = [data[at] for at in early]
    if not rest or want <= len(late):
        return rest, [data[at] for at in sorted(late)]
    training, drawn = split(rest, (want - len(late)) / len(rest), seed)
    chosen = {id(row) for row in drawn}
    return training, [row for at, row in enumerate(data) if at in late or id(row) in chosen]


def _questions_of_late(data: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Half of what is held out are the newest rows whose question was asked once, the rest is drawn."""
    asked = Counter(row.prompt.question for row in data)
    once = [at for at in range(len(data)) if asked[data[at].prompt.question] == 1]
    want = round(len(data) * fraction)
    late = set(sorted(once, key=lambda at: -data[at].created_at)[: want // 2])
    rest = [row for at, row in enumerate(data) if at not in late]
    training, drawn = split_questions(rest, (want - len(late)) / max(1, len(rest)), seed)
    chosen = {id(row) for row in drawn}
    return training, [row for at, row in enumerate(data) if at in late or id(row) in chosen]


def _newest(data: Sequence[Row], want: int) -> tuple[set[int], set[int]]:
    """(held out, on neither side): rows of the newest conversations, at most half of `want`; the very newest
    may fill all of it. Whole conversations: their rows whose question was asked in another as well are on
    neither side, and a conversation that is mostly such rows is passed over.
    """
    talks: dict[str, list[int]] = defaultdict(list)
    asked: dict[str, set[str]] = defaultdict(set)
    for at, row in enumerate(data):
        talks[row.conversation_id].append(at)
        asked[row.prompt.question].add(row.conversation_id)
    late: set[int] = set()
    neither: set[int] = set()
    if want < 2:
        return late, neither
    newest_first = sorted(talks.values(), key=lambda rows: -max(data[at].created_at for at in rows))
    for place, rows in enumerate(newest_first):
        own = {at for at in rows if len(asked[data[at].prompt.question]) == 1}
        if len(late) + len(own) > (want // 2 if place else want):
            break
        if 2 * len(own) >= len(rows):
            late |= own
            neither.update(set(rows) - own)
    return late, neither
