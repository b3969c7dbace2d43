"""Which taste explains the thumbs? The probability of every taste that one or two features can make.

A taste is a set of features: none, one, or two that do not exclude each other. Replies that show all of
them are liked at the rate theta_in, all others at theta_out. Both rates are unknown and integrated out:

    strict (prior STRICT)   theta_in ~ Beta(4, 1), theta_out ~ Beta(1, 4)
    loose                   theta_in, theta_out ~ Beta(1, 1), theta_in > theta_out

so that a thumb that is wrong now and then costs a taste a little and not everything, and a style that was
liked twice in ten is no taste, however much worse the others did. The tastes compete for all thumbs at
once: where everything seen was disliked, those that were never seen become likely. That is what a test of
one feature after another cannot say (memory/card_model.py).

A taste may change: with probability HAZARD before each rating all counts begin anew (Bayesian online
changepoint detection, Adams & MacKay 2007, arXiv 0710.3742); the result is the mean over when the last
change was. Pure functions of the ratings in their order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memory.card_model import FEATURES, Observation, conflicts, has
from memory.features import Features

Taste = tuple[str, ...]

SINGLES: tuple[Taste, ...] = tuple((feature,) for feature in FEATURES)
PAIRS: tuple[Taste, ...] = tuple(
    pair for pair in itertools.combinations(FEATURES, 2) if pair[1] not in conflicts(pair[0])
)
TASTES: tuple[Taste, ...] = ((), *SINGLES, *PAIRS)
NONE, ONE = 0.1, 0.7  # prior probability of no taste at all, and of one feature; the rest is for two
STRICT, AGREES = 0.9, 4.0
HAZARD = 1 / 300
# of all moments at which the taste may have changed, the likeliest are followed
FOLLOWED, NEGLIGIBLE = 32, 1e-4


@dataclass(frozen=True, slots=True)
class TastePosterior:
    """The probability of each of TASTES, and the rates at which replies in and out of it are liked."""

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


def satisfies(taste: Taste, shows: Features) -> bool:
    """Whether a reply shows every feature of a taste."""
    return all(has(feature, shows) for feature in taste)


def posterior(observations: Sequence[Observation]) -> TastePosterior:
    """What the ratings, oldest first, say of every taste. Weights of observations are not read."""
    import numpy as np

    size = len(TASTES)
    prior = np.array(
        [NONE, *[ONE / len(SINGLES)] * len(SINGLES), *[(1 - NONE - ONE) / len(PAIRS)] * len(PAIRS)]
    )
    fresh = np.log(np.stack([STRICT * prior, (1 - STRICT) * prior]))
    # (strict or loose, taste, in or out, liked or not); no taste has one rate, whatever the reply shows
    nothing = np.ones((2, size, 2, 2))
    nothing[0, 1:] = [[AGREES, 1.0], [1.0, AGREES]]
    counts, joint, started = np.empty((0, 2, size, 2, 2)), np.empty((0, 2, size)), np.empty(0)
    every = np.arange(size)
    for at, one in enumerate(observations):
        counts, joint = np.concatenate([counts, nothing[None]]), np.concatenate([joint, fresh[None]])
        started = np.append(started + math.log1p(-HAZARD), math.log(HAZARD) if at else 0.0)
        side = np.array([0 if satisfies(taste, one.shows) else 1 for taste in TASTES])
        label = 0 if one.liked else 1
        seen = counts[:, :, every, side]
        joint = joint + np.log(seen[..., label] / seen.sum(-1))
        evidence = _log_sum(joint, (1, 2))
        joint -= evidence[:, None, None]
        started = started + evidence
        started -= _log_sum(started, 0)
        counts[:, :, every, side, label] += 1
        kept = started > math.log(NEGLIGIBLE)
        if kept.sum() > FOLLOWED:
            kept &= started >= np.sort(started)[-FOLLOWED]
        counts, joint, started = counts[kept], joint[kept], started[kept]
    if not len(observations):
        counts, joint, started = nothing[None], fresh[None], np.zeros(1)
    mean = counts[..., 0] / counts.sum(-1)
    joint[:, 1, 1:] += np.log(2 * _ordered(counts[:, 1, 1:], mean[:, 1, 1:]))
    each = np.exp(started[:, None, None] + joint - _log_sum(joint, (1, 2))[:, None, None])
    each /= each.sum()
    by_taste = each.sum((0, 1))
    rates = (each[..., None] * mean).sum((0, 1)) / by_taste[:, None]
    return TastePosterior(
        {taste: float(by_taste[at]) for at, taste in enumerate(TASTES)},
        {taste: (float(rates[at, 0]), float(rates[at, 1])) for at, taste in enumerate(TASTES)},
    )


def _log_sum(values: Any, axes: Any) -> Any:
    import numpy as np

    top = values.max(axis=axes, keepdims=True)
    return np.squeeze(top, axes) + np.log(np.exp(values - top).sum(axis=axes))


def _ordered(counts: Any, mean: Any) -> Any:
    """P(theta_in > theta_out) of independent Beta rates, read off a normal distribution; never quite zero."""
    import numpy as np

    variance = mean * (1 - mean) / (counts.sum(-1) + 1)
    z = (mean[..., 0] - mean[..., 1]) / np.sqrt(variance.sum(-1))
    return np.maximum([[0.5 * math.erfc(-one / math.sqrt(2)) for one in row] for row in z], 1e-12)
