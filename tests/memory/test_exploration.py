"""Trials of styles: the rule, and how fast a taste is learned with it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import exploration
from memory.card_model import FEATURES, Observation, has, learn
from memory.exploration import next_trial, rates
from memory.features import STYLES, features
from policies.seed.styles import PURE, render
from tests.memory.replies import FACTS, written

# The replies are written as the embedded model was taught to write them.
SEED = dict(zip(STYLES, PURE, strict=True))
# How often a model uses each style by itself; a line on the card is followed in 95 of 100 replies.
MIX = {"brief": 0.30, "detailed": 0.16, "bullets": 0.27, "friendly": 0.11, "formal": 0.17}
FOLLOWED = 0.95


def learned(taste: str, seed: int, noise: float, ratings: int) -> set[str]:
    """What stands on the card after `ratings` thumbs, each wrong with probability `noise`."""
    draw = random.Random(f"{taste}/{seed}")
    seen: list[Observation] = []
    for _ in range(ratings):
        found = learn(seen)
        card = [feature for feature in FEATURES if found[feature].chosen]
        trial = next_trial(seen, found, card) if seen else None
        asked = [style for style in (*card, trial) if style in STYLES]
        style = draw.choices(list(MIX), list(MIX.values()))[0]
        if asked and draw.random() < FOLLOWED:
            style = draw.choice(asked)
        shows = features(render(FACTS, SEED[style], draw))
        liked = has(taste, shows) is not (draw.random() < noise)
        seen.append(Observation("r", shows, liked, trial))
    return {feature for feature, finding in learn(seen).items() if finding.chosen}


@pytest.mark.parametrize(
    ("noise", "ratings", "least_right", "most_wrong"),
    [(0.0, 6, 0.9, 0.05), (0.0, 8, 0.97, 0.02), (0.1, 8, 0.8, 0.12), (0.1, 12, 0.88, 0.12)],
)
def test_a_taste_is_on_the_card_after_eight_ratings(
    noise: float, ratings: int, least_right: float, most_wrong: float
) -> None:
    seeds = 16
    cards = [(taste, learned(taste, seed, noise, ratings)) for taste in STYLES for seed in range(seeds)]
    assert sum(taste in card for taste, card in cards) / len(cards) >= least_right
    assert sum(bool(card - {taste}) for taste, card in cards) / len(cards) <= most_wrong


def seen(style: str, liked: bool = False, trial: str | None = None) -> Observation:
    return Observation("r", features(written(style, random.Random(1))), liked, trial)


def test_the_least_rated_style_is_next_and_of_equals_the_likeliest() -> None:
    assert next_trial([], learn([])) == STYLES[0]
    every = [seen(style) for style in STYLES]
    assert next_trial(every[1:], learn(every[1:])) == "brief"
    liked = [seen(style, style == "formal") for style in STYLES]
    assert next_trial(liked, learn(liked)) == "formal"
    assert next_trial(liked, learn(liked), on_card=["Be formal."]) is None
    assert next_trial(liked, learn(liked), barred=["formal"]) != "formal"


def test_a_reply_counts_for_what_it_shows_and_for_what_was_asked_of_it() -> None:
    short = [seen("brief", trial=style) for style in STYLES]
    assert next_trial(short, learn(short)) == "detailed"  # brief was seen often
    assert next_trial(short * 2, learn(short * 2)) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(STYLES), st.booleans(), st.none() | st.sampled_from(STYLES)), max_size=30
    ),
    st.sets(st.sampled_from(STYLES)),
)
def test_trials_keep_their_bounds(replies: list[tuple[str, bool, str | None]], struck: set[str]) -> None:
    observations = [seen(*reply) for reply in replies]
    found = learn(observations, barred=struck)
    trial = next_trial(observations, found, barred=struck)
    shown = [one for one in observations if trial and has(trial, one.shows)]
    assert trial not in struck
    assert len(shown) < exploration.ENOUGH  # so nothing that was disliked twice, either
    assert trial == next_trial(observations[::-1], found, barred=struck)


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
