"""Drawing tokens: against the distribution that is written down."""

from __future__ import annotations

import pytest
import torch

from policies.generation.sampling import Sampler
from policies.policy import SamplingParams

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))


def shares(params: SamplingParams, logits: torch.Tensor = LOGITS, draws: int = 4000) -> list[float]:
    drawn = Sampler(params, torch.device("cpu")).pick(logits.repeat(draws, 1))
    assert drawn.shape == (draws, 1)
    return [(drawn == token).float().mean().item() for token in range(len(logits))]


def test_greedy_takes_the_likeliest() -> None:
    assert shares(SamplingParams(temperature=0.0)) == [1, 0, 0, 0]


def test_temperature_one_draws_the_model_s_own_shares() -> None:
    assert shares(SamplingParams(1.0, 1.0, seed=0)) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_a_low_temperature_sharpens() -> None:
    squared = torch.tensor([0.25, 0.09, 0.0225, 0.0025])
    expected = (squared / squared.sum()).tolist()
    assert shares(SamplingParams(0.5, 1.0, seed=0)) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.0, [1, 0, 0, 0]),
        (0.4, [1, 0, 0, 0]),
        (0.6, [0.625, 0.375, 0, 0]),
        (0.9, [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
    ],
)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float, expected: list[float]) -> None:
    found = shares(SamplingParams(1.0, top_p, seed=0))
    assert found == pytest.approx(expected, abs=0.03)
    assert [share > 0 for share in found] == [share > 0 for share in expected]


def test_a_flat_distribution_over_a_large_vocabulary_is_cut_right() -> None:
    size = 1000
    drawn = Sampler(SamplingParams(1.0, 0.5, seed=0), torch.device("cpu")).pick(torch.zeros(6000, size))
    assert 490 <= len(drawn.unique()) <= 501


def test_a_seed_repeats() -> None:
    rows = torch.zeros(64, 100)
    drawn = [Sampler(SamplingParams(1.0, 0.9, seed=s), torch.device("cpu")).pick(rows) for s in (5, 5, 6)]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
