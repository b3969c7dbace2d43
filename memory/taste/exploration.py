"""What to ask of the next reply while nothing is known of the owner's taste yet. Pure functions.

With an empty card a model answers in the styles that it happens to like, and one that it hardly ever
uses by itself may not come up for many replies: nobody can like what they have not seen. So, while
nothing stands on the card, a reply may be asked for in one style of TRIED, or in two at once. It is the
trial whose thumb says most about the taste: the one with the greatest mutual information between the
thumb and the taste (Lindley 1956; "BALD" in Houlsby et al. 2011, arXiv 1112.5745),

    I(trial) = H(sum_t P(t) p_t) - sum_t P(t) H(p_t)      in nats
    p_t = q_t theta_in,t + (1 - q_t) theta_out,t

with P(t), theta_in,t and theta_out,t from posterior.py and q_t the probability that a reply to the
trial shows all that taste t asks for. Two styles at once halve the tastes that are open faster than one
after the other would, and are how a taste for both together is found at all.

How likely a reply shows a style that was asked of it, and one that was not, is estimated from the replies
so far: a model that cannot do a style is not asked for ever. A trial that would say less than WORTH is
none, so trials end by themselves whatever the thumbs say; when the taste has changed they begin again.

Where all that was seen is disliked, what no reply can be asked for (code) becomes the likeliest taste, and
no trial is worth much by that. Then what a trial would say of tastes that can be shown counts, as far as the
taste is one of them; LEFT is enough, and one is made now and then.
What is *learned* from a reply follows from what it shows alone (card_model.py).

People who do not rate are never explored on: most of their last RECENT replies must have a thumb.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

from memory.taste.card_model import FEATURES, Observation, conflicts, has
from memory.taste.posterior import TASTES, TastePosterior, columns, posterior

Trial = tuple[str, ...]

# Code is not among them: most questions have none for an answer.
TRIED = ("brief", "detailed", "bullets", "friendly", "formal", "emoji", "closing_question")
TRIALS: tuple[Trial, ...] = (
    *((style,) for style in TRIED),
    *(pair for pair in itertools.combinations(TRIED, 2) if pair[1] not in conflicts(pair[0])),
)
WORTH, LEFT = 0.02, 0.005  # nats
RECENT = 5
# as many ratings as the taste is read from; older ones would cost time and change nothing
NEWEST = 200
# (shown, replies) as if seen before the first: a style that was asked for, and one that was not
ASKED, UNASKED = (2.0, 2.2), (1.0, 5.0)


def rates(thumbs: Sequence[bool]) -> bool:
    """Does this person rate? `thumbs` says of the newest replies whether a thumb stands on them."""
    return 2 * sum(thumbs) > len(thumbs)


def next_trial(
    observations: Sequence[Observation], on_card: Collection[str] = (), barred: Collection[str] = ()
) -> Trial:
    """The styles to ask of the next reply; () when something is `on_card`, or no trial is WORTH it.

    `observations` in the order of the ratings; `barred` styles (struck by the owner) are never tried.
    Equal input gives the equal answer: of equal trials, the one with fewer styles, then the first of TRIALS.
    """
    if on_card:
        return ()
    newest = observations[-NEWEST:]
    found = posterior(newest)
    shown = {name for name in FEATURES if _showable(newest, name)}
    left = sum(one for taste, one in found.probability.items() if set(taste) <= shown)
    for believed, least in ((found, WORTH), (found.among(shown), LEFT / left)):
        worth = {
            trial: round(nats, 6)
            for trial, nats in information(newest, believed).items()
            if not set(trial) & set(barred)
        }
        best = max(worth, key=lambda trial: (worth[trial], -len(trial)), default=())
        if best and worth[best] >= least:
            return best
    return ()


def information(
    observations: Sequence[Observation], believed: TastePosterior | None = None
) -> dict[Trial, float]:
    """What the thumb on a reply to each of TRIALS is expected to say about the taste, in nats.

    The taste is as probable as in `believed`, by default what the observations say of it.
    """
    import numpy as np

    found = believed or posterior(observations)
    probability = np.array([found.probability.get(taste, 0.0) for taste in TASTES])
    inside, outside = np.array([found.rates[taste] for taste in TASTES]).T
    asked = {style: _share(observations, style, True) for style in TRIED}
    unasked = {style: _share(observations, style, False) for style in FEATURES}
    # the last column, for tastes of fewer than two features, is always shown
    shows = np.array([[*(_shows(f, trial, asked, unasked) for f in FEATURES), 1.0] for trial in TRIALS])
    first, second = np.array([columns(taste) for taste in TASTES]).T
    meets = shows[:, first] * shows[:, second]
    liked = meets * inside + (1 - meets) * outside
    nats = _entropy(liked @ probability) - _entropy(liked) @ probability
    return dict(zip(TRIALS, nats.tolist(), strict=True))


def _shows(feature: str, trial: Trial, asked: dict[str, float], unasked: dict[str, float]) -> float:
    """The probability that a reply to `trial` shows `feature`."""
    if feature in trial:
        return asked[feature]
    attribute, wanted = FEATURES[feature]
    if not wanted:
        return 1 - _shows(attribute, trial, asked, unasked)
    return 0.0 if conflicts(feature) & set(trial) else unasked[feature]


def _share(observations: Sequence[Observation], feature: str, asked: bool) -> float:
    """How often replies showed `feature`: of those asked for it, or of those asked for nothing like it."""
    shown, seen = ASKED if asked else UNASKED
    for one in observations:
        wanted = {*one.trial, *one.under}
        if feature in wanted if asked else not wanted & {feature, *conflicts(feature)}:
            shown, seen = shown + has(feature, one.shows), seen + 1
    return shown / seen


def _showable(observations: Sequence[Observation], feature: str) -> bool:
    """Whether replies that show it can be had: one did, or most would if they were asked for it."""
    if not FEATURES[feature][1] or any(has(feature, one.shows) for one in observations):
        return True
    return feature in TRIED and _share(observations, feature, True) > 0.5


def _entropy(share: Any) -> Any:
    """Of a coin with this share of heads, in nats. Shares are never quite 0 or 1: the rates are not."""
    import numpy as np

    return -share * np.log(share) - (1 - share) * np.log1p(-share)
