"""The pool of hidden states and text features: in worlds where one of them knows, both, or neither does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memory.taste.features import Features, features
from policies.bayesian_logistic import sigmoid
from policies.learners.dpo import Preference
from policies.learners.kto import Thumb
from policies.reward_fit import Fit, Judgement, fit, judgements, pooled, taste_logit
from policies.rows import Tokens
from tests.memory.replies import written

STYLES = ("brief", "detailed", "bullets", "friendly", "formal")
SIZE = 4


class World:
    """Replies in five styles whose hidden states (two blocks of SIZE and a length) have nothing to do with
    their words."""

    def __init__(self, count: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.styles = [self.dice.choice(STYLES) for _ in range(count)]
        self.shows: list[Features] = [features(written(style, self.dice)) for style in self.styles]
        self.hidden = torch.randn(
            count, 2 * SIZE + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )

    def fit(self, liked: Sequence[bool], noise: float = 0.0) -> Fit:
        seen = [
            Judgement(at, None, 1.0 if each != (self.dice.random() < noise) else -1.0, (at,))
            for at, each in enumerate(liked)
        ]
        return fit(self.hidden[: len(seen)], self.shows[: len(seen)], seen)

    def says(self, found: Fit, at: int) -> float:
        """The probability that reply `at` is liked."""
        head = float(found.head.logit((self.hidden[at] - found.centre) / found.scale))
        return sigmoid(found.sharpness * pooled(found.share, head, taste_logit(found.taste, self.shows[at])))


@pytest.mark.parametrize("style", ["brief", "bullets", "formal"])
def test_what_shows_in_the_words_is_known_after_few_thumbs(style: str) -> None:
    world = World(76, seed=3)
    likes = [getattr(one, style) for one in world.shows]
    found = world.fit(likes[:16])
    assert found.held_out["gain_low"] > 0
    assert found.share < 0.4
    right = [(world.says(found, at) > 0.5) == likes[at] for at in range(16, 76)]
    assert sum(right) >= 57


def test_what_the_hidden_states_say_alone_is_kept_apart() -> None:
    world = World(64, seed=3)
    found = world.fit([one.brief for one in world.shows])
    assert found.alone is not None
    assert found.alone.share == 1.0
    assert found.held_out["gain_low"] > 0 >= found.alone.held_out["gain_low"]


def test_what_shows_only_in_the_hidden_states_is_learned_from_them() -> None:
    world = World(190, seed=5)
    likes = [bool(one > 0) for one in world.hidden[:, 0]]
    found = world.fit(likes[:128])
    assert found.held_out["gain_low"] > 0
    assert found.share > 0.8
    right = [(world.says(found, at) > 0.5) == likes[at] for at in range(128, 190)]
    assert sum(right) >= 50


@pytest.mark.parametrize("seed", range(4))
def test_thumbs_by_the_throw_of_a_coin_are_known_for_it(seed: int) -> None:
    world = World(48, seed)
    found = world.fit([world.dice.random() < 0.5 for _ in range(48)])
    assert found.held_out["gain_low"] <= 0
    assert found.held_out["low"] <= found.held_out["commoner"]


def test_its_probabilities_come_true_under_wrong_thumbs() -> None:
    foretold, came = [], []
    for seed in range(8):
        world = World(120, seed)
        style = STYLES[seed % len(STYLES)]
        likes = [getattr(one, style) for one in world.shows]
        found = world.fit(likes[:40], noise=0.2)
        for at in range(40, 120):
            foretold.append(world.says(found, at))
            came.append(likes[at] != (world.dice.random() < 0.2))
    assert sum(foretold) / len(foretold) == pytest.approx(sum(came) / len(came), abs=0.06)
    sure = [came[at] for at, one in enumerate(foretold) if one > 0.7]
    unsure = [came[at] for at, one in enumerate(foretold) if one < 0.3]
    assert sum(sure) / len(sure) == pytest.approx(0.8, abs=0.1)
    assert sum(unsure) / len(unsure) == pytest.approx(0.2, abs=0.1)


def test_all_judgements_but_one_of_one_prompt_are_fitted_all_the_same() -> None:
    """A fold then has a single reply, whose centred features are all zero."""
    world = World(8, seed=1)
    seen = [Judgement(at, None, 1.0 if at % 3 else -1.0, (min(at, 1),)) for at in range(8)]
    found = fit(world.hidden, world.shows, seen)
    assert found.held_out["n"] == 8
    assert 0.0 < world.says(found, 3) < 1.0


def test_pairs_are_read_by_both_views() -> None:
    world = World(60, seed=9)
    brief = [at for at, one in enumerate(world.shows) if one.brief]
    long = [at for at, one in enumerate(world.shows) if not one.brief]
    seen = [
        Judgement(first, second, 1.0, (first,)) for first, second in zip(brief[:8], long[:8], strict=True)
    ]
    found = fit(world.hidden, world.shows, seen)
    assert found.held_out["commoner"] == 0.5
    assert found.held_out["accuracy"] == 1.0
    assert taste_logit(found.taste, world.shows[brief[-1]]) > taste_logit(found.taste, world.shows[long[-1]])


def test_the_taste_is_read_in_the_order_in_which_it_was_told() -> None:
    """Picks of long ago, and thumbs of now that say the opposite."""
    texts = {True: "Tea is a drink.", False: " ".join(["Tea is a drink made of leaves in water."] * 6)}
    row = {brief: Tokens([1], [int(brief)]) for brief in texts}
    pairs = [Preference(row[True], row[False])] * 20
    thumbs = [Thumb(row[False], True), Thumb(row[True], False)] * 10
    shows = [features(texts[bool(one.completion_ids[0])]) for one in judgements(thumbs, pairs)[0]]
    hidden = World(len(shows), seed=3).hidden
    for picks_first in (True, False):
        now, then = (range(20, 40), range(20)) if picks_first else (range(20), range(20, 40))
        _, seen = judgements(thumbs, pairs, [*map(float, now), *map(float, then)])
        seen = [replace(one, prompt=(at,)) for at, one in enumerate(seen)]
        likes = fit(hidden, shows, seen).taste.likes
        assert (likes(features(texts[True])) > likes(features(texts[False]))) is not picks_first


@given(share=st.floats(0, 1), head=st.floats(-50, 50), taste=st.floats(-50, 50))
def test_a_pool_lies_between_its_views(share: float, head: float, taste: float) -> None:
    low, high = sorted([head, taste])
    found = sigmoid(pooled(share, head, taste))
    assert sigmoid(low) - 2e-6 <= found <= sigmoid(high) + 2e-6


@given(head=st.floats(-8, 8), taste=st.floats(-8, 8))
def test_the_more_a_view_counts_the_nearer_is_the_pool(head: float, taste: float) -> None:
    gaps = [abs(pooled(share, head, taste) - head) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert all(before >= after - 1e-9 for before, after in pairwise(gaps))
