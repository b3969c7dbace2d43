"""Lines of the card that the model does not follow. Pure functions.

A line that is not followed does no good, and a small model may even do the opposite of one that it was
hardly taught: "Do not use bullet points." is mostly about bullet points. So a learned line steps aside
once it was tried ENOUGH times, most replies under it do not show what it asks for, and they do not show
it more often than replies without the line do. What the owner pinned stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.taste.card_model import FEATURES, Counts, Observation, compare, has

ENOUGH = 4
RECENT = 12


@dataclass(frozen=True, slots=True)
class Heeded:
    """Of the newest replies under a line: how many, and how many followed it."""

    seen: int
    followed: int


def unheeded(observations: Sequence[Observation]) -> dict[str, Heeded]:
    """The features whose lines should step aside, by the newest RECENT replies under each."""
    found = {}
    for feature in FEATURES:
        under = [has(feature, one.shows) for one in observations if feature in one.under][-RECENT:]
        without = [has(feature, one.shows) for one in observations if feature not in one.under]
        seen, followed = len(under), sum(under)
        if seen < ENOUGH or 2 * followed >= seen:
            continue
        if compare([Counts(seen, followed, len(without), sum(without))]) <= 0:
            found[feature] = Heeded(seen, followed)
    return found
