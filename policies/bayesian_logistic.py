"""Bayesian logistic regression for a few judgements and many features, with Laplace's approximation.

MacKay 1992, "The evidence framework applied to classification networks" (Neural Computation 4(5)): the
weights have a Gaussian prior, whose variance is the one of SPREADS under which the judgements are most
probable; the posterior is a Gaussian around the mode; and a prediction is moderated by its own
uncertainty, so that what is unlike everything judged before gets a probability near one half. Of few and
clear judgements that is too cautious still (the mode lies nearer to zero than the mean does), and
`sharpness` makes up for it from predictions of what was held out.

The prior is the same in all directions, so weights outside of the span of the data stay as the prior has
them, and the fit happens in that span: as many dimensions as judgements, however wide the features are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Prior variances that are tried, for features of unit length: logits of about 1 up to about 16.
SPREADS = (1.0, 4.0, 16.0, 64.0, 256.0)
# Prior variance of the offset: a share of thumbs up between 2 % and 98 %.
OFFSET = 4.0
NEWTON_STEPS = 100
# how far from 1 the sharpness may well be, as the deviation of its logarithm, and the values that are tried
SHARPNESS_SPREAD = 0.35
SHARPNESSES = tuple(math.exp(step / 20) for step in range(-30, 31))
# kinds of row: a judgement of one reply has the offset, a comparison of two has none
SINGLE, COMPARISON = 1.0, 0.0


@dataclass(frozen=True, slots=True)
class Posterior:
    """`mean` (r + 1,) and `covariance` (r + 1, r + 1) of the weights in `directions` (r, features), the
    offset last; `spread` is the prior variance, `evidence` log p(judgements) under it in nats."""

    directions: Tensor
    mean: Tensor
    covariance: Tensor
    spread: float
    evidence: float

    def logit(self, x: Tensor, kind: float = SINGLE) -> Tensor:
        """Moderated logits of `x` (..., features): m / sqrt(1 + pi s^2 / 8), m and s^2 being those of x'w."""
        import torch

        z = x @ self.directions.T
        # of judgements that are all of one reply there are no directions, and z has no column to take
        design = torch.cat([z, z.new_full((*z.shape[:-1], 1), kind)], -1)
        inside = ((design @ self.covariance) * design).sum(-1)
        outside = (x.square().sum(-1) - z.square().sum(-1)).clamp(min=0.0)
        variance = inside.clamp(min=0.0) + self.spread * outside
        return (design @ self.mean) / (1.0 + math.pi / 8.0 * variance).sqrt()

    def to(self, device: Tensor | object) -> Posterior:
        """The same in single precision on `device`, for training loops."""
        import torch

        directions, mean, covariance = (
            each.to(device=device, dtype=torch.float32)  # type: ignore[call-overload]
            for each in (self.directions, self.mean, self.covariance)
        )
        return Posterior(directions, mean, covariance, self.spread, self.evidence)


def fit(x: Tensor, y: Tensor, kinds: Tensor) -> Posterior:
    """Posterior of the weights after judgements `y` (n,) of +1 or -1 on `x` (n, features), in double.

    `kinds` (n,) is SINGLE or COMPARISON (`x` is then one reply's features minus the other's).
    """
    import torch

    x, y, kinds = (each.double() for each in (x, y, kinds))
    _, sizes, directions = torch.linalg.svd(x, full_matrices=False)
    directions = directions[sizes > 1e-8 * sizes.max().clamp(min=1e-12)]
    design = torch.cat([x @ directions.T, kinds[:, None]], -1)
    return max(
        (_laplace(design, y, directions, spread) for spread in SPREADS), key=lambda found: found.evidence
    )


def sharpness(margins: Sequence[float]) -> float:
    """The factor for logits under which held-out judgements are most probable, held near 1 by a log-normal
    prior: temperature scaling (Guo et al. 2017, arXiv 1706.04599).

    `margins` are logits of held-out judgements, positive where the prediction was right.
    """

    def objective(factor: float) -> float:
        # log sigmoid(z) = min(z, 0) - log(1 + exp(-|z|))
        scaled = [factor * margin for margin in margins]
        likelihood = sum(min(z, 0.0) - math.log1p(math.exp(-abs(z))) for z in scaled)
        return likelihood - 0.5 * (math.log(factor) / SHARPNESS_SPREAD) ** 2

    return max(SHARPNESSES, key=objective)


def _laplace(design: Tensor, y: Tensor, directions: Tensor, spread: float) -> Posterior:
    """The mode by Newton's method with halved steps, and the curvature there."""
    import torch
    from torch.nn.functional import logsigmoid

    prior = torch.full(design.shape[1:], 1.0 / spread, dtype=design.dtype)
    prior[-1] = 1.0 / OFFSET

    def objective(weights: Tensor) -> Tensor:
        return logsigmoid(y * (design @ weights)).sum() - 0.5 * (prior * weights.square()).sum()

    weights = torch.zeros_like(prior)
    value = objective(weights)
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(design @ weights)
        gradient = design.T @ ((y + 1.0) / 2.0 - p) - prior * weights
        hessian = (design.T * (p * (1.0 - p))) @ design + torch.diag(prior)
        step = torch.linalg.solve(hessian, gradient)
        if float(gradient @ step) < 1e-12:
            break
        size = 1.0
        while (moved := objective(weights + size * step)) < value and size > 1e-6:
            size /= 2.0
        weights, value = weights + size * step, torch.maximum(moved, value)
    p = torch.sigmoid(design @ weights)
    hessian = (design.T * (p * (1.0 - p))) @ design + torch.diag(prior)
    evidence = value + 0.5 * prior.log().sum() - 0.5 * torch.logdet(hessian)
    return Posterior(directions, weights, torch.linalg.inv(hessian), spread, float(evidence))


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow on either side."""
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))
