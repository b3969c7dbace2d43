"""How a reward model is fitted to judgements, and how well it foretells those it has not seen.

Two views of a reply give a probability each: what the base thinks of it (`bayesian_logistic` over its hidden
states) and which text features it shows (`memory/taste/posterior`). The one can learn anything but needs
many judgements, the other knows "brief" after eight and nothing that is no text feature. They are pooled by
how well each foretold held-out judgements: stacking of predictive distributions (Yao et al. 2018, Bayesian
Analysis 13.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from env.bench.report import wilson
from memory.taste.card_model import Observation
from memory.taste.features import Features
from memory.taste.posterior import TastePosterior, posterior
from policies import bayesian_logistic
from policies.bayesian_logistic import COMPARISON, SINGLE, Posterior, sigmoid
from policies.errors import LearnError
from policies.learners.dpo import Preference
from policies.learners.kto import Thumb
from policies.rows import Tokens
from policies.statistics import paired_interval

if TYPE_CHECKING:
    from torch import Tensor

FOLDS = 5
CONFIDENCE = 0.95
# what the hidden states may count in the pool
SHARES = tuple(at / 20 for at in range(21))
NEVER = 1e-6  # no view is believed to be surer than this


@dataclass(frozen=True, slots=True)
class Judgement:
    """The rows of its replies (`other` None for a thumb), whether it is +1 or -1, its prompt, and when it was
    given: a taste is read off judgements in their order, since the old ones fade, and off those alone that
    are about `style` and not about what a reply says."""

    reply: int
    other: int | None
    sign: float
    prompt: tuple[int, ...]
    at: float = 0.0
    style: bool = True


@dataclass(frozen=True, slots=True)
class Fit:
    """`centre` and `scale` (features,) bring hidden features to about unit length for `head`; `taste` reads
    text features; `share` is what the head counts against it, `sharpness` scales their pooled logit.

    `held_out` is described at RewardModel. `alone` is the same fit with the head's word only (None in that).
    """

    centre: Tensor
    scale: Tensor
    head: Posterior
    taste: TastePosterior
    share: float
    sharpness: float
    held_out: dict[str, float]
    alone: Fit | None = None


def judgements(
    thumbs: Sequence[Thumb],
    pairs: Sequence[Preference],
    times: Sequence[float] = (),
    styles: Sequence[bool] = (),
) -> tuple[list[Tokens], list[Judgement]]:
    """All replies, and the judgements that point into them. `times` and `styles` (see `Judgement`) are those
    of the thumbs, then of the pairs; without any they were given in this order, and all about style."""
    number = len(thumbs) + len(pairs)
    given = zip(times or range(number), styles or [True] * number, strict=True)
    rows = [thumb.tokens for thumb in thumbs]
    seen = [
        Judgement(at, None, 1.0 if thumb.liked else -1.0, tuple(thumb.tokens.prompt_ids), *next(given))
        for at, thumb in enumerate(thumbs)
    ]
    for pair in pairs:
        prompt = tuple(pair.chosen.prompt_ids)
        seen.append(Judgement(len(rows), len(rows) + 1, 1.0, prompt, *next(given)))
        rows += [pair.chosen, pair.rejected]
    return rows, seen


def fit(hidden: Tensor, shows: Sequence[Features], seen: Sequence[Judgement]) -> Fit:
    """From the judgements `seen` of replies with `hidden` (replies, features) and text features `shows`.

    Raises LearnError where all are about one prompt, so that nothing can be held out.
    """
    views = _held_out_views(hidden, shows, seen)
    learned, taste = _learn(hidden, seen), _taste(shows, seen)

    def found(share: float, measured: tuple[list[float], dict[str, float]], alone: Fit | None = None) -> Fit:
        margins, figures = measured
        return Fit(*learned, taste, share, bayesian_logistic.sharpness(margins), figures, alone)

    alone = found(1.0, _measure(views, seen, 1.0))
    return found(_share([one for fold in views for one in fold]), _measure(views, seen), alone)


def pooled(share: float, head: float, taste: float) -> float:
    """The logit of the linear pool of two probabilities that are given as logits."""
    return _logit(share * sigmoid(head) + (1.0 - share) * sigmoid(taste))


def taste_logit(taste: TastePosterior, shows: Features) -> float:
    """How probable it is, as a logit, that a reply with these text features is liked."""
    return _logit(taste.likes(shows))


@dataclass(frozen=True, slots=True)
class _View:
    """What both views said of one judgement that they had not seen, as logits of what came true; `guess`
    is the probability that a constant guess gave it."""

    head: float
    taste: float
    guess: float


def _held_out_views(
    hidden: Tensor, shows: Sequence[Features], seen: Sequence[Judgement]
) -> list[list[_View]]:
    """Fold by fold, each judgement as seen by what was fitted to the other folds."""
    found = []
    for train, test in _folds(seen):
        centre, scale, head = _learn(hidden, train)
        taste = _taste(shows, train)
        x, kinds = _design(hidden, test, centre, scale)
        thumbs = [each for each in train if each.other is None]
        ups = (sum(each.sign > 0 for each in thumbs) + 1.0) / (len(thumbs) + 2.0)
        views = []
        for at, each in enumerate(test):
            says = taste_logit(taste, shows[each.reply])
            guess = ups if each.sign > 0 else 1.0 - ups
            if each.other is not None:
                says, guess = says - taste_logit(taste, shows[each.other]), 0.5
            views.append(
                _View(each.sign * float(head.logit(x[at], float(kinds[at]))), each.sign * says, guess)
            )
        found.append(views)
    return found


def _measure(
    views: Sequence[Sequence[_View]], seen: Sequence[Judgement], given: float | None = None
) -> tuple[list[float], dict[str, float]]:
    """(margins, figures) of the pool; the share in a fold is learned from the others, like all else, where
    none is `given`."""
    margins, gains = [], []
    for at, fold in enumerate(views):
        others = [one for other, theirs in enumerate(views) if other != at for one in theirs]
        share = _share(others) if given is None else given
        for view in fold:
            margins.append(pooled(share, view.head, view.taste))
            gains.append(math.log(sigmoid(margins[-1])) - math.log(view.guess))
    ups = sum(each.sign > 0 for each in seen if each.other is None)
    downs = sum(each.sign < 0 for each in seen)
    n, right = len(margins), sum(margin > 0 for margin in margins)
    accuracy, gain = wilson(right, n), paired_interval(gains, CONFIDENCE)
    return margins, {
        "accuracy": accuracy.mean,
        "low": accuracy.low,
        "high": accuracy.high,
        "n": n,
        "commoner": (max(ups, downs) + 0.5 * (n - ups - downs)) / n,
        "gain": gain.mean,
        "gain_low": gain.low,
    }


def _share(views: Sequence[_View]) -> float:
    """The mean of the posterior of the head's share, every share being as probable beforehand."""
    logs = [sum(math.log(sigmoid(pooled(share, one.head, one.taste))) for one in views) for share in SHARES]
    weights = [math.exp(one - max(logs)) for one in logs]
    return sum(share * weight for share, weight in zip(SHARES, weights, strict=True)) / sum(weights)


def _taste(shows: Sequence[Features], seen: Sequence[Judgement]) -> TastePosterior:
    """A pair reads as one reply liked and one disliked."""
    found = []
    for each in sorted((each for each in seen if each.style), key=lambda each: each.at):
        found.append(Observation(str(each.reply), shows[each.reply], each.sign > 0))
        if each.other is not None:
            found.append(Observation(str(each.other), shows[each.other], False))
    return posterior(found)


def _learn(features: Tensor, seen: Sequence[Judgement]) -> tuple[Tensor, Tensor, Posterior]:
    """(centre, scale, head) from the judgements `seen` of replies with `features` (replies, features)."""
    import torch

    used = sorted({at for each in seen for at in (each.reply, each.other) if at is not None})
    centre, spread = features[used].mean(0), features[used].std(0, correction=0)
    hidden = (features.shape[1] - 1) // 2
    # the three blocks weigh the same, and a reply has unit length on average
    blocks = torch.tensor([hidden] * (2 * hidden) + [1], dtype=features.dtype)
    # a feature that hardly moved among these replies must not explode on the next one
    floor = 0.1 * spread[:-1].median().clamp(min=1e-6)
    scale = spread.clamp(min=float(floor)) * (3.0 * blocks).sqrt()
    x, kinds = _design(features, seen, centre, scale)
    y = torch.tensor([each.sign for each in seen], dtype=x.dtype)
    return centre, scale, bayesian_logistic.fit(x, y, kinds)


def _design(
    features: Tensor, seen: Sequence[Judgement], centre: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """((judgements, features), kinds): a reply, or the one minus the other."""
    import torch

    x = (features - centre) / scale
    rows = [x[s.reply] if s.other is None else x[s.reply] - x[s.other] for s in seen]
    kinds = [SINGLE if s.other is None else COMPARISON for s in seen]
    return torch.stack(rows), torch.tensor(kinds, dtype=x.dtype)


def _folds(seen: Sequence[Judgement]) -> list[tuple[list[Judgement], list[Judgement]]]:
    """Up to FOLDS cuts in (training, held out): no prompt on both sides, verdicts spread evenly."""
    groups: dict[tuple[int, ...], list[Judgement]] = {}
    for each in seen:
        groups.setdefault(each.prompt, []).append(each)
    ordered = sorted(groups, key=lambda prompt: (fmean(each.sign for each in groups[prompt]), prompt))
    count = min(FOLDS, len(ordered))
    if count < 2:
        raise LearnError("All ratings are about one question: rate replies to other questions too.")
    held = [{prompt for at, prompt in enumerate(ordered) if at % count == fold} for fold in range(count)]
    return [
        ([each for each in seen if each.prompt not in out], [each for each in seen if each.prompt in out])
        for out in held
    ]


def _logit(probability: float) -> float:
    kept = min(max(probability, NEVER), 1.0 - NEVER)
    return math.log(kept) - math.log1p(-kept)
