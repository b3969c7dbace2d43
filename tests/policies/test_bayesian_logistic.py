"""The head of the reward model against scipy, and against worlds whose probabilities are known."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import bayesian_logistic
from policies.bayesian_logistic import COMPARISON, OFFSET, SHARPNESS_SPREAD, SINGLE, SPREADS, fit, sharpness


def judged(n: int, size: int, seed: int, strength: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(features of about unit length, judgements, their true probabilities) of a logistic world."""
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn(n, size, generator=dice, dtype=torch.float64) / math.sqrt(size)
    truth = strength * torch.randn(size, generator=dice, dtype=torch.float64)
    p = torch.sigmoid(x @ truth)
    y = torch.where(torch.rand(n, generator=dice, dtype=torch.float64) < p, 1.0, -1.0)
    return x, y, p


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 30),
    size=st.integers(1, 40),
    seed=st.integers(0, 10**6),
    strength=st.floats(0.0, 20.0),
    compared=st.floats(0.0, 1.0),
)
def test_the_mode_is_where_scipy_finds_it(
    n: int, size: int, seed: int, strength: float, compared: float
) -> None:
    x, y, _ = judged(n, size, seed, strength)
    kinds = torch.tensor([COMPARISON if at < compared * n else SINGLE for at in range(n)], dtype=x.dtype)
    found = fit(x, y, kinds)
    design = numpy.concatenate([x.numpy(), kinds.numpy()[:, None]], 1)
    prior = numpy.array([1 / found.spread] * size + [1 / OFFSET])

    def minus_log_posterior(w: numpy.ndarray) -> float:
        margins = y.numpy() * (design @ w)
        return float(numpy.logaddexp(0, -margins).sum() + 0.5 * (prior * w * w).sum())

    best = scipy.optimize.minimize(minus_log_posterior, numpy.zeros(size + 1), method="L-BFGS-B", tol=1e-12)
    ours = numpy.append((found.directions.T @ found.mean[:-1]).numpy(), float(found.mean[-1]))
    assert minus_log_posterior(ours) <= best.fun + 1e-6
    assert numpy.allclose(ours, best.x, atol=2e-2 * (1 + numpy.abs(best.x).max()))


@pytest.mark.parametrize("spread", SPREADS[:3])
def test_the_evidence_is_near_the_integral(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayesian_logistic, "SPREADS", (spread,))
    x = torch.tensor([[1.0], [0.7], [-0.3], [-1.2], [0.9], [-0.8]], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    found = fit(x, y, torch.ones(6))

    def likelihood(w: float, b: float) -> float:
        margins = y.numpy() * (x.numpy()[:, 0] * w + b)
        scale = 2 * math.pi * math.sqrt(spread * OFFSET)
        prior = math.exp(-0.5 * (w * w / spread + b * b / OFFSET)) / scale
        return float(numpy.prod(scipy.special.expit(margins))) * prior

    whole, _ = scipy.integrate.dblquad(likelihood, -12, 12, -12 * math.sqrt(spread), 12 * math.sqrt(spread))
    assert found.evidence == pytest.approx(math.log(whole), abs=0.15)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(4, 40), seed=st.integers(0, 10**6), far=st.floats(1.0, 1e4))
def test_what_is_unlike_all_that_was_judged_is_a_toss_up(n: int, seed: int, far: float) -> None:
    x, y, _ = judged(n, 60, seed, 8.0)
    found = fit(x, y, torch.ones(n))
    strange = torch.zeros(60, dtype=torch.float64)
    strange[:] = torch.linalg.qr(torch.cat([x, torch.randn(1, 60, dtype=torch.float64)]).T)[0][:, n]
    near, away = found.logit(torch.stack([0.0 * strange, far * strange]))
    assert abs(float(away)) <= abs(float(near)) + 1e-9
    if far > 100:
        assert abs(float(away)) < 0.2 + 0.1 * abs(float(near))


@pytest.mark.parametrize("strength", [2.0, 6.0, 12.0])
def test_probabilities_are_calibrated_in_a_logistic_world(strength: float) -> None:
    """Of what gets 60 to 80 %, about 70 % come true; and the log loss is near the best possible."""
    told, came, best = [], [], []
    for seed in range(20):
        x, y, p = judged(464, 30, seed, strength)
        margins: list[float] = []
        for fold in range(5):
            out = torch.arange(64) % 5 == fold
            without = fit(x[:64][~out], y[:64][~out], torch.ones(int((~out).sum())))
            margins += (y[:64][out] * without.logit(x[:64][out])).tolist()
        found = fit(x[:64], y[:64], torch.ones(64))
        told += torch.sigmoid(sharpness(margins) * found.logit(x[64:])).tolist()
        came += (y[64:] > 0).tolist()
        best += p[64:].tolist()
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        of = [(p, up) for p, up in zip(told, came, strict=True) if low <= p < low + 0.2]
        assert len(of) > 100
        gap = sum(p for p, _ in of) / len(of) - sum(up for _, up in of) / len(of)
        assert abs(gap) < 0.08, low

    def loss(probabilities: list[float]) -> float:
        right = [p if up else 1 - p for p, up in zip(probabilities, came, strict=True)]
        return -sum(map(math.log, right)) / len(right)

    assert loss(best) < loss(told) < math.log(2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-8.0, 8.0), min_size=1, max_size=40))
def test_the_sharpness_is_where_scipy_finds_it(margins: list[float]) -> None:
    def minus_log_posterior(log_factor: float) -> float:
        likelihood = scipy.special.log_expit(math.exp(log_factor) * numpy.array(margins)).sum()
        return float(0.5 * (log_factor / SHARPNESS_SPREAD) ** 2 - likelihood)

    best = scipy.optimize.minimize_scalar(minus_log_posterior, bounds=(-1.5, 1.5), method="bounded")
    assert minus_log_posterior(math.log(sharpness(margins))) <= best.fun + 0.02


def test_comparisons_and_judgements_teach_the_same_direction() -> None:
    x, _, _ = judged(80, 10, 3, 0.0)
    truth = torch.linspace(-8, 8, 10, dtype=torch.float64)
    pairs = x[::2] - x[1::2]
    found = fit(pairs, torch.sign(pairs @ truth), torch.zeros(40))
    fresh, _, _ = judged(200, 10, 4, 0.0)
    right = (torch.sign(found.logit(fresh, COMPARISON)) == torch.sign(fresh @ truth)).double().mean()
    assert float(right) > 0.85
    assert float(found.mean[-1]) == pytest.approx(0.0), "a comparison says nothing about the offset"
