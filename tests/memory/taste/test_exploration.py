"""Trials of styles: the rule against its formula, its bounds, and how fast a taste is learned with it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bernoulli

from memory.taste import exploration
from memory.taste.card_model import FEATURES, Observation, has, learn
from memory.taste.exploration import TRIALS, TRIED, Trial, information, next_trial, rates
from memory.taste.features import STYLES, features
from memory.taste.posterior import posterior
from policies.seed.styles import PURE, Style, render
from tests.memory.replies import FACTS, styled, written

# How often a model uses each of PURE by itself; what it is asked for it does in 95 of 100 replies.
MIX = (0.30, 0.16, 0.27, 0.11, 0.17)
FOLLOWED = 0.95
ALONE = [trial for trial in TRIALS if len(trial) == 1]
PAIRS = [trial for trial in TRIALS if len(trial) == 2]


def learned(taste: Trial, seed: int, noise: float, ratings: int) -> set[str]:
    """What stands on the card after `ratings` thumbs, each wrong with probability `noise`."""
    draw = random.Random(f"{taste}/{seed}")
    seen: list[Observation] = []
    for _ in range(ratings):
        found = learn(seen)
        card = [feature for feature in FEATURES if found[feature].chosen]
        trial = next_trial(seen, card) if seen else ()
        asked = [*card, *trial]
        style = styled(asked) if asked and draw.random() < FOLLOWED else draw.choices(PURE, MIX)[0]
        shows = features(render(FACTS, style, draw))
        liked = all(has(feature, shows) for feature in taste) is not (draw.random() < noise)
        seen.append(Observation("r", shows, liked, trial, under=frozenset(card)))
    return {feature for feature, finding in learn(seen).items() if finding.chosen}


@pytest.mark.parametrize(
    ("tastes", "seeds", "noise", "ratings", "least_right", "most_wrong"),
    [
        (ALONE, 8, 0.0, 8, 0.95, 0.03),
        (ALONE, 8, 0.1, 12, 0.9, 0.12),
        (PAIRS, 2, 0.0, 16, 0.8, 0.1),
        (PAIRS, 2, 0.1, 24, 0.5, 0.25),
        # with two wrong thumbs in ten a few that are unlucky are tried again later
        (PAIRS, 3, 0.2, 64, 0.64, 0.25),
    ],
)
def test_a_taste_is_on_the_card_after_a_handful_of_ratings(
    tastes: list[Trial], seeds: int, noise: float, ratings: int, least_right: float, most_wrong: float
) -> None:
    cards = [(set(taste), learned(taste, seed, noise, ratings)) for taste in tastes for seed in range(seeds)]
    assert sum(taste <= card for taste, card in cards) / len(cards) >= least_right
    assert sum(bool(card - taste) for taste, card in cards) / len(cards) <= most_wrong


def seen(style: str, liked: bool = False, trial: Trial = ()) -> Observation:
    return Observation("r", features(written(style, random.Random(1))), liked, trial)


THUMBS = st.lists(
    st.tuples(st.sampled_from(STYLES), st.booleans(), st.just(()) | st.sampled_from(TRIALS)), max_size=12
)


@given(THUMBS)
@settings(max_examples=40, deadline=None)
def test_the_information_is_that_of_its_formula(replies: list[tuple[str, bool, Trial]]) -> None:
    """Against scipy's entropy, taste by taste, for a trial of one style and one of two."""
    observations = [seen(*reply) for reply in replies]
    found, nats = posterior(observations), information(observations)
    for trial in (("emoji",), ("brief", "formal")):
        shows = {}
        for feature in (
            "brief",
            "detailed",
            "bullets",
            "friendly",
            "formal",
            "code",
            "emoji",
            "closing_question",
        ):
            against = {"brief": "detailed", "detailed": "brief", "friendly": "formal", "formal": "friendly"}
            rival = against.get(feature, f"no_{feature}")
            alike = [
                one
                for one in observations
                if (feature in one.trial if feature in trial else not {feature, rival} & set(one.trial))
            ]
            shown = sum(bool(getattr(one.shows, feature)) for one in alike)
            share = (shown + 2) / (len(alike) + 2.2) if feature in trial else (shown + 1) / (len(alike) + 5)
            shows[feature] = 0.0 if rival in trial else share
            shows[f"no_{feature}"] = 1 - shows[feature]
        mean, conditional = 0.0, 0.0
        for taste, probability in found.probability.items():
            meets = np.prod([shows[feature] for feature in taste])
            liked = meets * found.rates[taste][0] + (1 - meets) * found.rates[taste][1]
            mean += probability * liked
            conditional += probability * bernoulli(liked).entropy()
        assert nats[trial] == pytest.approx(bernoulli(mean).entropy() - conditional, abs=1e-9)


@given(THUMBS, st.sets(st.sampled_from(TRIED)))
@settings(max_examples=60, deadline=None)
def test_trials_keep_their_bounds(replies: list[tuple[str, bool, Trial]], struck: set[str]) -> None:
    observations = [seen(*reply) for reply in replies]
    nats = information(observations)
    assert all(-1e-9 <= one <= np.log(2) for one in nats.values())
    trial = next_trial(observations, barred=struck)
    assert trial in TRIALS or trial == ()
    assert not set(trial) & struck
    if trial:
        assert nats[trial] >= exploration.WORTH
        assert nats[trial] >= max(one for other, one in nats.items() if not set(other) & struck) - 1e-6
    assert next_trial(observations, on_card=["brief"], barred=struck) == ()
    assert next_trial(observations, barred=TRIED) == ()


def test_what_was_liked_once_among_two_is_told_apart_by_the_next_trials() -> None:
    """After one liked reply that was friendly and detailed, it is asked which of the two it was."""
    both = features(render(FACTS, Style(length="detailed", tone="friendly"), random.Random(2)))
    liked = [Observation("r", both, True, ("detailed", "friendly"))]
    disliked = [seen("brief", trial=("brief",)), seen("formal", trial=("formal",))]
    trial = next_trial([*disliked, *liked])
    assert ("friendly" in trial) != ("detailed" in trial)


@pytest.mark.parametrize("liked", [True, False])
def test_trials_end_whatever_the_thumbs_say(liked: bool) -> None:
    draw, observations = random.Random(3), [seen("brief", liked)]
    while trial := next_trial(observations):
        shows = features(render(FACTS, styled(trial), draw))
        observations.append(Observation("r", shows, liked, trial))
        assert len(observations) < 40


def test_who_dislikes_nearly_all_is_tried_now_and_then() -> None:
    """A taste for code, which nobody was asked for, explains it best, and is no reason to give up."""
    draw, observations, tried = random.Random("now and then"), [seen("brief")], 0
    for at in range(1, 60):
        trial = next_trial(observations)
        tried += bool(trial) and at >= 20
        style = styled(trial) if trial else draw.choices(PURE, MIX)[0]
        liked = draw.random() < 0.05
        observations.append(Observation("r", features(render(FACTS, style, draw)), liked, trial))
    found = posterior(observations)
    assert max(found.probability, key=found.probability.__getitem__) == ("code",)
    assert 2 <= tried <= 20


def test_a_model_that_cannot_do_a_style_is_not_asked_for_ever() -> None:
    observations = [Observation("r", features("The moon."), False)]
    tried: list[str] = []
    while trial := next_trial(observations):
        tried.extend(trial)
        observations.append(Observation("r", features("The moon."), False, trial))
        assert len(observations) < 60
    assert set(tried) >= {"detailed", "bullets", "friendly", "formal", "emoji"}


@pytest.mark.parametrize(
    ("thumbs", "yes"),
    [
        ([], False),
        ([True], True),
        ([False], False),
        ([True, False], False),
        ([False, True, True], True),
        ([True, True, False, False, False], False),
        ([False, True, True, False, True], True),
    ],
)
def test_a_person_rates_when_most_of_the_newest_replies_have_a_thumb(thumbs: list[bool], yes: bool) -> None:
    assert rates(thumbs) is yes
