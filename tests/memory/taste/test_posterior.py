"""The posterior over tastes: against numbers worked out another way, and against people of known taste."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import betaln

from memory.taste import posterior as taste_posterior
from memory.taste.card_model import FEATURES, Observation, has
from memory.taste.features import STYLES, features
from memory.taste.posterior import (
    CARE,
    HAZARD,
    KIND,
    NONE,
    ONE,
    OTHER,
    PAIRS,
    SINGLES,
    STRICT,
    TASTES,
    WRONG,
    TasteFilter,
    kind_of,
    posterior,
    satisfies,
)
from tests.memory.replies import written


def seen(style: str, liked: bool, draw: random.Random | None = None) -> Observation:
    return Observation("r", features(written(style, draw or random.Random(1))), liked)


rated = st.lists(st.tuples(st.sampled_from(STYLES), st.booleans()), max_size=40)


@settings(deadline=None, max_examples=30)
@given(rated)
def test_it_is_a_distribution_whatever_the_thumbs(replies: list[tuple[str, bool]]) -> None:
    found = posterior([seen(*reply) for reply in replies])
    assert sum(found.probability.values()) == pytest.approx(1.0)
    assert all(one >= 0 for one in found.probability.values())
    assert all(0 < rate < 1 for both in found.rates.values() for rate in both)
    for style in STYLES:
        shows = features(written(style, random.Random(2)))
        assert 0 < found.likes(shows) < 1
        both = found.agrees(shows, True) + found.agrees(shows, False)
        assert both == pytest.approx(1 + found.probability[()])


def test_without_thumbs_it_is_the_prior() -> None:
    found = posterior([]).probability
    assert found[()] == pytest.approx(OTHER + (1 - OTHER) * NONE)
    assert sum(found[taste] for taste in SINGLES) == pytest.approx((1 - OTHER) * ONE)
    assert sum(found[taste] for taste in PAIRS) == pytest.approx((1 - OTHER) * (1 - NONE - ONE))


def counted(ratings: list[Observation], taste: tuple[str, ...]) -> list[tuple[int, int]]:
    """(liked, disliked) of the replies that show the taste, and of the others."""
    sides = [
        [one.liked for one in ratings if satisfies(taste, one.shows) is inside] for inside in (True, False)
    ]
    return [(sum(side), len(side) - sum(side)) for side in sides]


def evidence(ratings: list[Observation], taste: tuple[str, ...], wrong: float) -> tuple[float, float]:
    """Probability of the thumbs under a strict taste, in closed form, and under a loose one, integrated."""
    (a, b), (c, d) = counted(ratings, taste)
    if not taste:
        return 0.0, math.exp(betaln(1 + a, 1 + b))
    # twice the mass where the one rate is above the other: half of the prior lies there
    ordered, _ = integrate.dblquad(
        lambda low, high: high**a * (1 - high) ** b * low**c * (1 - low) ** d, 0, 1, 0, lambda high: high
    )
    return (1 - wrong) ** (a + d) * wrong ** (b + c), 2 * ordered


def of_kinds(ratings: list[Observation]) -> float:
    """Probability of the thumbs if each kind of reply has a rate of its own."""
    kinds: dict[object, list[bool]] = {}
    for one in ratings:
        kinds.setdefault(kind_of(one.shows), []).append(one.liked)
    return math.exp(
        sum(
            betaln(KIND + sum(thumbs), KIND + len(thumbs) - sum(thumbs)) - betaln(KIND, KIND)
            for thumbs in kinds.values()
        )
    )


def prior(taste: tuple[str, ...]) -> float:
    share = {0: NONE, 1: ONE / len(SINGLES), 2: (1 - NONE - ONE) / len(PAIRS)}[len(taste)]
    return (1 - OTHER) * share


def test_it_is_bayes_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taste_posterior, "HAZARD", 1e-12)
    draw = random.Random(3)
    ratings = [seen(draw.choice(STYLES), draw.random() < 0.4, draw) for _ in range(14)]
    weighed = {}
    for taste in TASTES:
        strict = sum(share * evidence(ratings, taste, wrong)[0] for wrong, share in WRONG.items())
        kept = STRICT if taste else 0.0
        weighed[taste] = prior(taste) * (kept * strict + (1 - kept) * evidence(ratings, taste, 0.1)[1])
    weighed[()] += OTHER * of_kinds(ratings)
    expected = {taste: one / sum(weighed.values()) for taste, one in weighed.items()}
    # P(one rate above the other) is read off a normal distribution: that costs a little
    assert posterior(ratings).probability == pytest.approx(expected, abs=0.01)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(STYLES[:3]), st.booleans()), min_size=1, max_size=5))
def test_what_has_held_is_the_sum_over_all_histories(replies: list[tuple[str, bool]]) -> None:
    """Of changes of taste, and of how often a thumb was wrong at each rating, which changes by itself."""
    given_ = [seen(*reply) for reply in replies]
    shares = {0.05: 0.6, 0.3: 0.4}

    def part(ratings: list[Observation], wrong: tuple[float, ...]) -> float:
        found = OTHER * of_kinds(ratings)
        for taste in TASTES:
            right = [satisfies(taste, one.shows) == one.liked for one in ratings]
            strict = math.prod(1 - share if yes else share for yes, share in zip(right, wrong, strict=True))
            (a, b), (c, d) = counted(ratings, taste)
            # while nothing is read of it, a loose taste has both rates in any order; no taste has one rate
            loose = math.exp(betaln(1 + a, 1 + b) + betaln(1 + c, 1 + d))
            found += prior(taste) * (STRICT * strict + (1 - STRICT) * loose if taste else loose)
        return found

    last = [0.0] * len(given_)
    for wrong in itertools.product(shares, repeat=len(given_)):
        careful = shares[wrong[0]]
        for before, after in itertools.pairwise(wrong):
            careful *= CARE * shares[after] + (1 - CARE) * (before == after)
        for changes in itertools.product((False, True), repeat=len(given_) - 1):
            starts = [0, *[at + 1 for at, changed in enumerate(changes) if changed]]
            cuts = list(zip(starts, [*starts[1:], len(given_)], strict=True))
            chance = careful * math.prod(HAZARD if changed else 1 - HAZARD for changed in changes)
            last[starts[-1]] += chance * math.prod(part(given_[a:b], wrong[a:b]) for a, b in cuts)
    exact = [sum(last[: at + 1]) / sum(last) for at in range(len(last))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taste_posterior, "WRONG", shares)
        known = TasteFilter()
    for one in given_:
        known.add(one.shows, one.liked)
    # histories that are less probable than NEGLIGIBLE are left out
    assert known.held() == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(("noise", "ratings", "right"), [(0.0, 12, 0.95), (0.1, 24, 0.9), (0.2, 40, 0.85)])
def test_the_taste_is_found_despite_wrong_thumbs(noise: float, ratings: int, right: float) -> None:
    found = wrong = 0
    for style in STYLES:
        for seed in range(12):
            draw = random.Random(f"{style} {seed}")
            known = []
            for _ in range(ratings):
                shown = draw.choice(STYLES)
                one = seen(shown, False, draw)
                liked = has(style, one.shows) != (draw.random() < noise)
                known.append(Observation("r", one.shows, liked))
            taste, probability = posterior(known).best()
            found += style in taste
            wrong += probability > 0.6 and bool(set(taste) & set(STYLES)) and style not in taste
    assert found / (12 * len(STYLES)) >= right
    assert wrong / (12 * len(STYLES)) <= 0.05


def test_where_everything_seen_was_disliked_the_unseen_is_likely() -> None:
    down = [seen(style, False) for style in ("brief", "detailed", "formal") for _ in range(4)]
    found = posterior(down).among(("brief", "detailed", "formal", "bullets", "friendly"))
    assert sum(found.probability.values()) == pytest.approx(1.0)
    assert found.probability["bullets",] > 10 * found.probability["brief",]
    assert found.probability["bullets",] == pytest.approx(found.probability["friendly",])


def test_a_style_that_is_disliked_less_than_others_is_no_taste() -> None:
    draw = random.Random(5)
    known = [seen("formal", at < 3, draw) for at in range(10)] + [
        seen("detailed", at < 3, draw) for at in range(30)
    ]
    found = posterior(known).among(("formal", "detailed", "bullets"))
    assert found.probability["formal",] < 0.3


def test_it_follows_a_change_of_taste() -> None:
    draw = random.Random(6)
    before = [seen(style, style == "brief", draw) for _ in range(6) for style in STYLES]
    after = [seen(style, style == "formal", draw) for _ in range(3) for style in STYLES]
    assert posterior(before).best()[0] == ("brief",)
    assert posterior(before + after).best()[0] == ("formal",)


def test_every_feature_can_be_a_taste() -> None:
    assert {feature for taste in TASTES for feature in taste} == set(FEATURES)
    assert len(set(TASTES)) == len(TASTES)
    assert sum(WRONG.values()) == pytest.approx(1.0)


def test_who_rates_in_passing_from_some_day_on_likes_what_they_liked() -> None:
    draw = random.Random(8)
    known = TasteFilter()
    for at in range(264):
        shows = features(written("brief" if at > 12 else STYLES[at % 5], draw))
        known.add(shows, has("brief", shows) != (at >= 200 and at % 5 == 0))
    assert known.taste().best()[0] == ("brief",)
    assert known.held()[0] > 0.5
