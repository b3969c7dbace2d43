"""Exposure, and an adapter that was trained again after a canary was forgotten."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from policies.base_models import resolve
from policies.forgetting import WAYS, Exposure, experiment, exposure, measure, phrases
from policies.language_policy import LanguagePolicy
from tests.policies.rated import SETTINGS


@pytest.mark.parametrize(
    ("values", "canary", "expected"),
    [
        ([3.0, 1.0, 2.0, 4.0], 1, Exposure(2.0, 1, 4)),
        ([3.0, 1.0, 2.0, 4.0], 2, Exposure(1.0, 2, 4)),
        ([3.0, 1.0, 2.0, 4.0], 3, Exposure(0.0, 4, 4)),
        ([1.0, 1.0], 0, Exposure(0.0, 2, 2)),
    ],
)
def test_exposure_is_the_size_over_the_rank_in_bits(
    values: list[float], canary: int, expected: Exposure
) -> None:
    assert exposure(values, canary) == expected


def test_a_phrase_that_nobody_planted_has_the_exposure_of_chance() -> None:
    """Under no knowledge 2 ** -exposure is uniform (Carlini et al. 2019, section 4.2)."""
    from scipy.stats import kstest

    draw = random.Random(0)
    shares = []
    for _ in range(400):
        found = exposure([draw.random() for _ in range(512)], 0)
        shares.append(found.rank / found.of)
    assert kstest(shares, "uniform").pvalue > 0.01


def test_the_space_holds_each_phrase_once() -> None:
    assert len(set(phrases())) == len(phrases()) == 512


def test_what_was_forgotten_leaves_the_weights(policy: LanguagePolicy, tmp_path: Path) -> None:
    """On a model of random weights, through the real ledger and KTO: byte for byte the adapter of a home
    that never saw the canary, and so its exposure."""
    found = experiment(policy, tmp_path, planted=3, ordinary=4, settings=SETTINGS)
    assert found.identical == dict.fromkeys(WAYS, True)
    assert found.retrained == dict.fromkeys(WAYS, found.never_saw)
    assert found.planted != found.never_saw
    assert policy.adapter is None
    assert measure(policy, phrases()[0], phrases()[:4]).of == 4


@pytest.mark.slow
def test_the_exposure_of_a_canary_in_sprout_falls_back(tmp_path: Path) -> None:
    policy = LanguagePolicy(resolve(None))
    found = experiment(policy, tmp_path)
    policy.close()
    assert found.planted.bits >= 7, "nothing was memorised, so forgetting shows nothing"
    assert found.identical == dict.fromkeys(WAYS, True)
    assert found.retrained == dict.fromkeys(WAYS, found.never_saw)
    assert found.never_saw.bits <= found.base.bits + 3
