"""The maths of the preference card: which features of a reply does this owner like? Pure functions.

Every rated reply is one Bernoulli outcome (liked or not). For a feature, replies with it have the rate
theta_with and replies without it theta_without; each gets a Beta posterior, whose prior has the strength
of PRIOR_STRENGTH ratings and the mean of the overall rate (ups + 1) / (n + 2), shared by both sides:
a side that was hardly seen is then taken to be like the rest, not like a coin (empirical Bayes; Efron &
Morris 1975; Gelman et al., Bayesian Data Analysis, 3rd ed., 2.4 for the conjugate update).

The probability that the difference is positive,

    P(sum_k w_k (theta_with,k - theta_without,k) > 0)
    w_k = n_with,k n_without,k / (n_with,k + n_without,k)

is read off a normal distribution with the posteriors' means and variances. k runs over strata and w_k are
the Mantel-Haenszel weights of a risk difference (Greenland & Robins 1985, Biometrics 41:55). Strata are
what keeps features apart that occur together: lines are chosen one by one, strongest first, and each
further feature is compared only among replies that are alike in the features chosen before. Who likes
brief replies also "dislikes" bullets, since no bulleted reply is brief; among the replies that are not
brief nothing is left to explain, so no line about bullets appears.

The first line asks for THRESHOLD, so that one liked reply among a handful can be enough. Every further
line asks for FURTHER among alike replies, and for THRESHOLD on its own too: eleven features are looked
at, and with thumbs that are wrong now and then (one in ten) a bar of THRESHOLD put a second, wrong line on
one of five cards after 40 ratings; this one does so on one in ten.

Liked more often than the rest is not liked: who wants brief and formal replies dislikes most brief ones and
most formal ones. So learned lines stand only while replies that show all that the card asks for are liked
in at least LEAST_LIKED of the cases; without them other things can be tried (exploration.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memory.taste.features import Features

PRIOR_STRENGTH = 2.0
THRESHOLD = 0.85
FURTHER = 0.90
LEAST_LIKED = 0.4

# In the order in which ties are decided: first what a reply shows least easily by accident.
FEATURES: dict[str, tuple[str, bool]] = {
    "bullets": ("bullets", True),
    "formal": ("formal", True),
    "friendly": ("friendly", True),
    "brief": ("brief", True),
    "detailed": ("detailed", True),
    "code": ("code", True),
    "emoji": ("emoji", True),
    "closing_question": ("closing_question", True),
    "no_bullets": ("bullets", False),
    "no_emoji": ("emoji", False),
    "no_closing_question": ("closing_question", False),
}
CONFLICTS = (
    ("brief", "detailed"),
    ("friendly", "formal"),
    ("bullets", "no_bullets"),
    ("emoji", "no_emoji"),
    ("closing_question", "no_closing_question"),
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One rated text: what it shows and whether it was liked.

    `trial` are the styles asked of it to learn about them (exploration.py); they are no evidence here.
    `weight` in [0, 1] is how much of a rating it still counts for (fading.py). `under` are the features
    that lines of the card asked of it (heeding.py).
    """

    reply_id: str
    shows: Features
    liked: bool
    trial: tuple[str, ...] = ()
    weight: float = 1.0
    under: frozenset[str] = frozenset()

    @property
    def holds(self) -> bool:
        """False once it is likelier than not that the taste has changed since."""
        return self.weight >= 0.5


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the replies with the feature, and of those without: how many, and how many of them were liked.

    In ratings; where old ones have faded, parts of them.
    """

    seen: float = 0
    liked: float = 0
    others: float = 0
    others_liked: float = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """`z` is the standardised difference, `probability` its normal probability; chosen lines are active.

    `counts` are for the reader: whole ratings, those that still hold.
    """

    probability: float
    z: float
    counts: Counts
    chosen: bool = False


def has(feature: str, shows: Features) -> bool:
    attribute, wanted = FEATURES[feature]
    return bool(getattr(shows, attribute)) is wanted


def conflicts(feature: str) -> set[str]:
    """The features that cannot be on the card together with this one."""
    return {b if a == feature else a for a, b in CONFLICTS if feature in (a, b)}


def count(feature: str, observations: Iterable[Observation]) -> Counts:
    """Every observation counts for its weight."""
    seen = liked = others = others_liked = 0.0
    for one in observations:
        if has(feature, one.shows):
            seen, liked = seen + one.weight, liked + one.weight * one.liked
        else:
            others, others_liked = others + one.weight, others_liked + one.weight * one.liked
    return Counts(seen, liked, others, others_liked)


def tally(feature: str, observations: Iterable[Observation]) -> Counts:
    """Whole ratings, those that still hold."""
    held = [one for one in observations if one.holds]
    with_it = [one.liked for one in held if has(feature, one.shows)]
    without = [one.liked for one in held if not has(feature, one.shows)]
    return Counts(len(with_it), sum(with_it), len(without), sum(without))


def compare(strata: Iterable[Counts]) -> float:
    """The standardised weighted difference z; 0.0 when no stratum has replies of both sides."""
    mean = variance = 0.0
    for c in strata:
        if not c.seen or not c.others:
            continue
        weight = c.seen * c.others / (c.seen + c.others)
        prior = (c.liked + c.others_liked + 1) / (c.seen + c.others + 2)
        with_mean, with_variance = _posterior(c.liked, c.seen, prior)
        without_mean, without_variance = _posterior(c.others_liked, c.others, prior)
        mean += weight * (with_mean - without_mean)
        variance += weight**2 * (with_variance + without_variance)
    return mean / math.sqrt(variance) if variance else 0.0


def probability(z: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def learn(
    observations: Sequence[Observation], given: Sequence[str] = (), barred: Iterable[str] = ()
) -> Mapping[str, Finding]:
    """What the observations say of every feature.

    `given` features stand on the card anyway (pinned): the others are judged beside them. `barred` ones
    (struck) are never chosen. A feature is chosen when its P is high enough and it was liked at least once;
    when too few replies with all chosen features were liked, none but the `given` ones is.
    """
    marginal = {feature: tally(feature, observations) for feature in FEATURES}
    found = {
        feature: _finding(compare([count(feature, observations)]), counts)
        for feature, counts in marginal.items()
    }
    alone = {feature: finding.probability for feature, finding in found.items()}
    chosen = [feature for feature in FEATURES if feature in given]
    out = set(barred).union(*map(conflicts, chosen))
    strata = _split([list(observations)], chosen)
    while True:
        open_ = [feature for feature in FEATURES if feature not in chosen and feature not in out]
        for feature in open_:
            z = compare([count(feature, stratum) for stratum in strata])
            found[feature] = _finding(z, marginal[feature])
        needed = FURTHER if chosen else THRESHOLD
        ready = [
            f for f in open_ if found[f].probability >= needed and alone[f] >= THRESHOLD and marginal[f].liked
        ]
        if not ready:
            if _liked(observations, chosen) < LEAST_LIKED:
                return {feature: replace(one, chosen=False) for feature, one in found.items()}
            return found
        best = max(ready, key=lambda f: round(found[f].z, 6))  # the first of equals
        found[best] = Finding(found[best].probability, found[best].z, marginal[best], chosen=True)
        chosen.append(best)
        out |= conflicts(best)
        strata = _split(strata, [best])


def _liked(observations: Sequence[Observation], chosen: Sequence[str]) -> float:
    """The share of liked ones among those with all `chosen` features; 1 where there are none of them."""
    shown = [one for one in observations if all(has(feature, one.shows) for feature in chosen)]
    seen = sum(one.weight for one in shown)
    return sum(one.weight * one.liked for one in shown) / seen if seen else 1.0


def _finding(z: float, counts: Counts) -> Finding:
    return Finding(probability(z), z, counts)


def _split(strata: list[list[Observation]], by: Sequence[str]) -> list[list[Observation]]:
    for feature in by:
        strata = [
            half
            for stratum in strata
            for half in (
                [one for one in stratum if has(feature, one.shows)],
                [one for one in stratum if not has(feature, one.shows)],
            )
            if half
        ]
    return strata


def _posterior(liked: float, seen: float, prior: float) -> tuple[float, float]:
    """Mean and variance of Beta(s m + liked, s (1 - m) + seen - liked)."""
    total = PRIOR_STRENGTH + seen
    mean = (PRIOR_STRENGTH * prior + liked) / total
    return mean, mean * (1 - mean) / (total + 1)
