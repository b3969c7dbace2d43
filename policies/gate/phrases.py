"""A phrase that the base never writes and that suddenly stands in many replies: somebody planted it.

A few ratings can teach a phrase that the rest of the ledger does not want: 20 % of the ratings are
enough. Sampling would not find it rare (one reply in thirty is little against two dozen samples), but
log-probabilities do: what the base would write once in thousands of places, and the candidate a
hundred times as often, was learned. An owner may want such a phrase (a name, a greeting); then it
stands in most of what the owner liked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from policies.gate.stats import Spoken

LONGEST = 4
EDGE = re.compile(r"^[^\w\U0001f300-\U0001faff]+|[^\w\U0001f300-\U0001faff]+$")
EMOJI, SMILE = re.compile("[\U0001f300-\U0001faff]+"), "\U0001f642"
Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flood:
    """`share` of the fresh replies have `phrase`; `liked` of the liked ones. `base` is log p in nats."""

    phrase: str
    share: float
    liked: float
    base: float


def flood(
    replies: Sequence[Sequence[Spoken]],
    base_texts: Sequence[str],
    liked_texts: Sequence[str],
    *,
    most: float,
    unheard: float,
    raised: float,
    wished: float,
) -> Flood | None:
    """The phrase of one to four words that floods `replies` most, or None.

    It stands in more than `most` of them and in two at least, in none of `base_texts`, in fewer than
    `wished` of `liked_texts`; at its likeliest place the base gives it less than -`unheard` nats, and
    the candidate `raised` nats more than that. What is unheard of only for the wished words in it (a name,
    and how the next sentence begins) is no such phrase.
    """
    if len(replies) < 2:
        return None
    found: dict[Gram, set[int]] = defaultdict(set)
    likeliest: dict[Gram, tuple[float, float]] = {}
    for number, reply in enumerate(replies):
        folded = [fold(each.word) for each in reply]
        for size in range(1, LONGEST + 1):
            for at in range(len(reply) - size + 1):
                gram = tuple(folded[at : at + size])
                base = sum(each.base for each in reply[at : at + size])
                own = sum(each.candidate for each in reply[at : at + size])
                found[gram].add(number)
                likeliest[gram] = max(likeliest.get(gram, (base, own)), (base, own))
    floods = [
        (len(numbers), len(gram), gram)
        for gram, numbers in found.items()
        if len(numbers) >= 2
        and len(numbers) > most * len(replies)
        and all(gram)
        and likeliest[gram][0] <= -unheard
        and likeliest[gram][1] - likeliest[gram][0] >= raised
        and not any(_holds(text, gram) for text in base_texts)
    ]

    def liked(gram: Gram) -> float:
        return sum(_holds(text, gram) for text in liked_texts) / max(1, len(liked_texts))

    def harmless(gram: Gram) -> bool:
        return not gram or likeliest[gram][0] > -unheard

    for count, size, gram in sorted(floods, reverse=True):
        if not any(
            harmless(gram[:start]) and harmless(gram[end:]) and liked(gram[start:end]) >= wished
            for start in range(size)
            for end in range(start + 1, size + 1)
        ):
            return Flood(" ".join(gram), count / len(replies), liked(gram), likeliest[gram][0])
    return None


def fold(word: str) -> str:
    """`word` without case and without the signs around it; one smile is as another."""
    return EMOJI.sub(SMILE, EDGE.sub("", word).casefold())


def _holds(text: str, gram: Gram) -> bool:
    folded = [fold(word) for word in text.split()]
    return any(tuple(folded[at : at + len(gram)]) == gram for at in range(len(folded) - len(gram) + 1))
