"""How old ratings fade: a rating counts as much as it is probable that the taste has not changed since.

Replies that are alike in every feature (length, list, tone, emoji, closing question, code) are of one
kind. While a taste stays, replies of one kind are liked at one rate, however the mix of kinds changes,
so what one line on the card, or an adapter, does to the replies is no sign of a new taste. When it
changes, every kind has a new rate. How probable it is that the last change came before rating i follows
from Bayesian online changepoint detection (Adams & MacKay 2007, arXiv 0710.3742): a change comes with
probability HAZARD at each rating, and a kind's rate has Jeffreys' Beta(1/2, 1/2) after every change.

So ratings do not fade with time: under a steady taste the first one counts as much as the newest. Under a
taste that turned, three or four ratings against what was known are enough for the ones before to fade;
thumbs that are wrong now and then make it take longer. Pure functions; the order of the ratings matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from memory.card_model import Observation
from memory.features import Features

HAZARD = 1 / 100
# an update learns nothing from a rating of a lower weight, and an adapter that learned from no other is
# outdated: it has no other way to forget, and a rating that goes for nothing is one lesson less
FADED = 0.1
PRIOR = 0.5
# of all moments at which the taste may have changed, the likeliest are followed: a rating then costs the
# same however many came before it
FOLLOWED, NEGLIGIBLE = 32, 1e-4

Kind = tuple[bool, ...]


@dataclass(slots=True)
class _Run:
    """The hypothesis that the taste has held since rating `start`: (liked, seen) of each kind since then."""

    start: int
    probability: float
    seen: dict[Kind, tuple[int, int]] = field(default_factory=dict)

    def predicts(self, kind: Kind, liked: bool) -> float:
        ups, count = self.seen.get(kind, (0, 0))
        self.seen[kind] = (ups + liked, count + 1)
        up = (PRIOR + ups) / (2 * PRIOR + count)
        return up if liked else 1 - up


def weights(observations: Sequence[Observation]) -> list[float]:
    """One weight in [0, 1] for each observation, oldest first; they never go down, and the last one is 1."""
    runs: list[_Run] = []
    for at, one in enumerate(observations):
        kind = kind_of(one.shows)
        fresh = _Run(at, HAZARD if runs else 1.0)
        for run in runs:
            run.probability *= (1 - HAZARD) * run.predicts(kind, one.liked)
        fresh.probability *= fresh.predicts(kind, one.liked)
        runs.append(fresh)
        total = sum(run.probability for run in runs)
        for run in runs:
            run.probability /= total
        runs = [run for run in runs if run.probability > NEGLIGIBLE]
        if len(runs) > FOLLOWED:
            runs.remove(min(runs, key=lambda run: run.probability))
    born = [0.0] * len(observations)
    for run in runs:
        born[run.start] = run.probability
    # the sum of all may round past one
    return [min(1.0, steady / (sum(born) or 1.0)) for steady in accumulate(born)]


def weighed(observations: Sequence[Observation]) -> list[Observation]:
    """The observations, oldest first, each with the weight that it still has."""
    return [
        replace(one, weight=weight) for one, weight in zip(observations, weights(observations), strict=True)
    ]


def kind_of(shows: Features) -> Kind:
    """All that a taste can be about (card_model.FEATURES), at once."""
    return (
        shows.brief,
        shows.detailed,
        shows.bullets,
        shows.friendly,
        shows.formal,
        shows.emoji,
        shows.closing_question,
        shows.code,
    )
