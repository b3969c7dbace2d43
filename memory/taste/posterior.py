"""Which taste explains the thumbs, how many of them are wrong, and since when has the taste held?

A taste is a set of features: one, or two that do not exclude each other. The ratings since the last change of
taste came about in one of these ways:

    strict   replies that show all of the taste are liked, others are not, and of these thumbs the share
             `wrong` is given the other way round
    loose    both are liked at rates of their own, theta_in > theta_out, each Beta(1, 1)
    none     everything is liked at one rate, Beta(1, 1)
    other    replies of one kind (alike in every feature) are liked at one rate, Beta(1/2, 1/2) for each kind:
             a taste that is about something else, or about more than two features

With probability HAZARD before each rating the taste changes: a way is drawn anew, and its rates begin anew
(Bayesian online changepoint detection, Adams & MacKay 2007, arXiv 0710.3742). How often a thumb is wrong is
one of WRONG and does not change with the taste: it is how this person rates, and what was learned of it
under the old taste says how much four thumbs against it mean. It is drawn anew by itself, with
probability CARE: who has rated with care for a year may do so in passing from today on, and likes what they
liked.

The tastes compete for all thumbs at once: where everything seen was disliked, those that were never seen
become likely. That is what a test of one feature after another cannot say (memory/taste/card_model.py). Pure
functions of the ratings in their order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from memory.taste.card_model import FEATURES, Observation, conflicts, has
from memory.taste.features import Features

Taste = tuple[str, ...]
Kind = tuple[bool, ...]

SINGLES: tuple[Taste, ...] = tuple((feature,) for feature in FEATURES)
PAIRS: tuple[Taste, ...] = tuple(
    pair for pair in itertools.combinations(FEATURES, 2) if pair[1] not in conflicts(pair[0])
)
TASTES: tuple[Taste, ...] = ((), *SINGLES, *PAIRS)
# prior probabilities: of "other"; of the rest no taste at all, one feature, and what is left for two; and of
# those with a taste how many are strict
OTHER, NONE, ONE, STRICT = 0.05, 0.02, 0.7, 0.98
KIND = 0.5
# the share of wrong thumbs, and how probable each is beforehand
WRONG = {0.02: 0.3, 0.05: 0.25, 0.1: 0.2, 0.2: 0.15, 0.3: 0.1}
# before each rating: that the taste changes, and that thumbs are wrong more or less often from then on
HAZARD, CARE = 1 / 600, 1 / 3000
# of all moments at which the taste may have changed, the likeliest are followed: a rating then costs the
# same however many came before it
FOLLOWED, NEGLIGIBLE = 32, 1e-4


@dataclass(frozen=True, slots=True)
class TastePosterior:
    """The probability of each of TASTES, and the rates at which replies in and out of it are liked.

    No taste, (), is whatever is no taste of these features.
    """

    probability: Mapping[Taste, float]
    rates: Mapping[Taste, tuple[float, float]]

    def best(self) -> tuple[Taste, float]:
        """The most probable taste; the first of equals."""
        return max(self.probability.items(), key=lambda one: round(one[1], 9))

    def likes(self, shows: Features) -> float:
        """The probability that a reply with these features is liked."""
        return sum(
            probability * self.rates[taste][0 if satisfies(taste, shows) else 1]
            for taste, probability in self.probability.items()
        )

    def agrees(self, shows: Features, liked: bool) -> float:
        """The probability that a thumb on a reply with these features says what the taste says of it.

        No taste at all has nothing to say against any thumb.
        """
        return sum(
            probability
            for taste, probability in self.probability.items()
            if not taste or satisfies(taste, shows) == liked
        )

    def among(self, features: Collection[str]) -> TastePosterior:
        """The posterior if the taste is made of these features alone."""
        kept = {taste: one for taste, one in self.probability.items() if set(taste) <= set(features)}
        total = sum(kept.values())
        return replace(self, probability={taste: one / total for taste, one in kept.items()})


class TasteFilter:
    """Takes in one rating after the other. The state has a row for each moment of the last change followed.

    The arrays hold the joint probability of (change, wrong, taste), of all that was seen so far divided out:
    `strict` and `loose` (changes, len(WRONG), len(TASTES)), `other` (changes, len(WRONG)). `counts`
    (changes, len(TASTES), 2, 2) are the liked and disliked replies in and out of each taste, one ahead.
    """

    def __init__(self) -> None:
        import numpy as np

        taste = [NONE, *[ONE / len(SINGLES)] * len(SINGLES), *[(1 - NONE - ONE) / len(PAIRS)] * len(PAIRS)]
        prior = (1 - OTHER) * np.array(taste)
        self._share, self._prior = np.array(list(WRONG))[:, None], np.array(list(WRONG.values()))
        strict = np.where(np.arange(len(TASTES)) > 0, STRICT, 0.0)
        self._fresh = (prior * strict, prior * (1 - strict))
        self._first, self._second = np.array([columns(taste) for taste in TASTES]).T
        self._seen = 0
        self._begin(self._prior)

    def _begin(self, wrong: Any) -> None:
        """A change before the next rating, `wrong` (len(WRONG),) being the probability of each share then."""
        import numpy as np

        strict, loose = self._fresh
        fresh = (wrong[:, None] * strict, wrong[:, None] * loose, wrong * OTHER, np.ones((len(TASTES), 2, 2)))
        if not self._seen:
            self._strict, self._loose, self._other, self._counts = (one[None] for one in fresh)
            self._starts: list[int] = [0]
            self._kinds: list[dict[Kind, tuple[int, int]]] = [{}]
            return
        old = (self._strict, self._loose, self._other, self._counts)
        self._strict, self._loose, self._other, self._counts = (
            np.concatenate([kept, new[None]]) for kept, new in zip(old, fresh, strict=True)
        )
        self._starts.append(self._seen)
        self._kinds.append({})

    def add(self, shows: Features, liked: bool) -> None:
        """The next rating."""
        import numpy as np

        if self._seen:
            for each in (self._strict, self._loose, self._other[..., None]):
                each += CARE * (self._prior[:, None] * each.sum(1, keepdims=True) - each)
            wrong = self._strict.sum((0, 2)) + self._loose.sum((0, 2)) + self._other.sum(0)
            for each in (self._strict, self._loose, self._other):
                each *= 1 - HAZARD
            self._begin(HAZARD * wrong)
        kind = kind_of(shows)
        has_all = np.array([*kind, True])
        inside = has_all[self._first] & has_all[self._second]
        every, side, label = np.arange(len(TASTES)), np.where(inside, 0, 1), 0 if liked else 1
        self._strict *= np.where(inside == liked, 1 - self._share, self._share)
        seen = self._counts[:, every, side]
        self._loose *= (seen[..., label] / seen.sum(-1))[:, None]
        self._counts[:, every, side, label] += 1
        self._other *= np.array([_predicts(each, kind, liked) for each in self._kinds])[:, None]
        self._seen += 1
        self._forget()

    def _forget(self) -> None:
        """Divide out what was seen, and leave the unlikeliest changes."""
        import numpy as np

        each = self._changes()
        total = each.sum()
        kept = each / total > NEGLIGIBLE
        if kept.sum() > FOLLOWED:
            kept &= each >= np.sort(each)[-FOLLOWED]
        self._strict, self._loose, self._other = (
            one[kept] / total for one in (self._strict, self._loose, self._other)
        )
        self._counts = self._counts[kept]
        self._starts = list(itertools.compress(self._starts, kept))
        self._kinds = list(itertools.compress(self._kinds, kept))

    def _changes(self) -> Any:
        """(changes,) how probable it is that the last one came then."""
        return self._strict.sum((1, 2)) + self._loose.sum((1, 2)) + self._other.sum(1)

    def held(self) -> list[float]:
        """For each rating, oldest first, how probable it is that the taste has not changed since."""
        if not self._seen:
            return []
        born = [0.0] * self._seen
        for start, probability in zip(self._starts, self._changes().tolist(), strict=True):
            born[start] = probability
        # the sum of all may round past one
        return [min(1.0, one / (sum(born) or 1.0)) for one in itertools.accumulate(born)]

    def taste(self) -> TastePosterior:
        import numpy as np

        mean = self._counts[..., 0] / self._counts.sum(-1)
        loose = self._loose.sum(1)
        loose[:, 1:] *= 2 * _ordered(self._counts[:, 1:], mean[:, 1:])
        strict = self._strict.sum(0)
        right, wrong = ((1 - self._share) * strict).sum(0), (self._share * strict).sum(0)
        probability = strict.sum(0) + loose.sum(0)
        rates = np.stack([right, wrong], -1) + (loose[..., None] * mean).sum(0)
        rates = (rates / probability[:, None]).tolist()
        probability[0] += self._other.sum()
        probability /= probability.sum()
        return TastePosterior(
            dict(zip(TASTES, probability.tolist(), strict=True)),
            {taste: (inside, outside) for taste, (inside, outside) in zip(TASTES, rates, strict=True)},
        )


def satisfies(taste: Taste, shows: Features) -> bool:
    """Whether a reply shows every feature of a taste."""
    return all(has(feature, shows) for feature in taste)


def kind_of(shows: Features) -> Kind:
    """All that a taste can be about, at once."""
    return tuple(has(feature, shows) for feature in FEATURES)


def posterior(observations: Iterable[Observation]) -> TastePosterior:
    """What the ratings, oldest first, say of every taste. Weights of observations are not read."""
    known = TasteFilter()
    for one in observations:
        known.add(one.shows, one.liked)
    return known.taste()


def columns(taste: Taste) -> tuple[int, int]:
    """Where in FEATURES the two features of a taste are; one behind the last for one that it lacks."""
    names = list(FEATURES)
    first, second = [*map(names.index, taste), len(names), len(names)][:2]
    return first, second


def _predicts(seen: dict[Kind, tuple[int, int]], kind: Kind, liked: bool) -> float:
    """The probability of the thumb by the (liked, all) of its kind, to which it is added."""
    ups, count = seen.get(kind, (0, 0))
    seen[kind] = (ups + liked, count + 1)
    up = (KIND + ups) / (2 * KIND + count)
    return up if liked else 1 - up


def _ordered(counts: Any, mean: Any) -> Any:
    """P(theta_in > theta_out) of independent Beta rates, read off a normal distribution; never quite zero."""
    import numpy as np

    variance = mean * (1 - mean) / (counts.sum(-1) + 1)
    z = (mean[..., 0] - mean[..., 1]) / np.sqrt(variance.sum(-1))
    return np.maximum([[0.5 * math.erfc(-one / math.sqrt(2)) for one in row] for row in z], 1e-12)
