"""How old ratings fade: a rating counts as much as it is probable that the taste has not changed since.

That probability is one of the taste's posterior (posterior.py), so what the card and the weights learn
and what they forget follow from one model. Ratings do not fade with time: under a steady taste the first
one counts as much as the newest. While a taste stays, replies that it asks for are liked at one rate, however
the mix of replies changes, so what one line on the card, or an adapter, does to the replies is no sign of a
new taste. Under a taste that turned, three or four ratings against what was known are enough for the
ones before to fade where no thumb was wrong so far, and as many more as were wrong before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memory.taste.card_model import Observation
from memory.taste.features import Features
from memory.taste.posterior import TasteFilter

# an update learns nothing from a rating of a lower weight, and an adapter that learned from no other is
# outdated: it has no other way to forget, and a rating that goes for nothing is one lesson less
FADED = 0.1


class Fading:
    """The weights of a ledger that grows: what goes on from the last one costs as much as what is new."""

    def __init__(self) -> None:
        # opening a home needs no numpy
        self._filter: TasteFilter | None = None
        self._seen: list[tuple[Features, bool]] = []

    def weights(self, observations: Sequence[Observation]) -> list[float]:
        """One weight in [0, 1] for each, oldest first; they never go down, and the last one is 1."""
        if not observations:
            return []
        given = [(one.shows, one.liked) for one in observations]
        if self._filter is None or given[: len(self._seen)] != self._seen:
            self._filter, self._seen = TasteFilter(), []
        for shows, liked in given[len(self._seen) :]:
            self._filter.add(shows, liked)
        self._seen = given
        return self._filter.held()

    def weighed(self, observations: Sequence[Observation]) -> list[Observation]:
        """The observations, oldest first, each with the weight that it still has."""
        found = self.weights(observations)
        return [replace(one, weight=weight) for one, weight in zip(observations, found, strict=True)]
