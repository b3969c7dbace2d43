"""The gate's statistics: against scipy, against exact sums, and by simulation with known answers."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.distributions import beta_cdf, t_quantile
from policies.statistics import (
    SequentialTest,
    TwoSampleTest,
    clopper_pearson,
    exceeds,
    gap_interval,
    one_sided,
    paired_interval,
)

values = st.lists(st.floats(-50, 50), min_size=2, max_size=12)
counts = st.integers(0, 60)
# importing scipy takes longer than any example may
unhurried = settings(deadline=None, max_examples=50)


@unhurried
@given(st.floats(0.001, 0.999), st.floats(0.3, 80), st.floats(0.3, 80))
def test_the_beta_distribution_is_scipys(x: float, a: float, b: float) -> None:
    from scipy.stats import beta

    assert beta_cdf(x, a, b) == pytest.approx(float(beta.cdf(x, a, b)), abs=1e-10)


@unhurried
@given(st.floats(0.001, 0.999), st.floats(1, 200))
def test_the_t_distribution_is_scipys(share: float, freedom: float) -> None:
    from scipy.stats import t

    assert t_quantile(share, freedom) == pytest.approx(float(t.ppf(share, freedom)), rel=1e-6, abs=1e-8)


@unhurried
@given(values, st.sampled_from([0.8, 0.9, 0.95]))
def test_the_paired_interval_is_scipys(differences: list[float], confidence: float) -> None:
    from scipy.stats import ttest_1samp

    assume(max(differences) - min(differences) > 0.01)
    mean, low, high = paired_interval(differences, confidence)
    expected = ttest_1samp(differences, 0.0).confidence_interval(confidence)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-5, abs=1e-7)
    assert low <= mean <= high


def test_one_difference_promises_nothing() -> None:
    assert paired_interval([2.0]) == (2.0, -math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one"):
        paired_interval([])


@unhurried
@given(values, values, st.sampled_from([0.8, 0.9, 0.95]))
def test_without_clusters_the_error_is_welchs_and_the_smaller_side_sets_the_freedom(
    first: list[float], second: list[float], confidence: float
) -> None:
    from scipy.stats import t, ttest_ind

    # scipy warns of nearly equal values
    assume(min(max(group) - min(group) for group in (first, second)) > 0.01)
    mean, low, high = gap_interval(
        [(value, f"a{at}") for at, value in enumerate(first)],
        [(value, f"b{at}") for at, value in enumerate(second)],
        confidence,
    )
    welch = ttest_ind(first, second, equal_var=False)
    theirs = welch.confidence_interval(confidence)
    share, fewest = 0.5 + confidence / 2, min(len(first), len(second)) - 1
    wider = float(t.ppf(share, fewest) / t.ppf(share, welch.df))
    assert wider >= 1 - 1e-9
    assert (low - mean, high - mean) == pytest.approx(
        (wider * (theirs.low - mean), wider * (theirs.high - mean)), rel=1e-5, abs=1e-6
    )
    assert low <= mean <= high


def drawn(dice: random.Random, side: str, clusters: int, size: int, alike: float) -> list[tuple[float, str]]:
    """Normal values of variance 1 around 0; `alike` is the intra-class correlation."""
    moods = [dice.gauss(0, math.sqrt(alike)) for _ in range(clusters)]
    return [
        (mood + dice.gauss(0, math.sqrt(1 - alike)), f"{side}{at}")
        for at, mood in enumerate(moods)
        for _ in range(size)
    ]


@pytest.mark.parametrize(
    ("liked", "disliked", "alike"), [((2, 1), (14, 1), 0.0), ((2, 4), (8, 2), 0.5), ((3, 4), (8, 2), 0.5)]
)
def test_a_side_of_few_clusters_is_no_certainty(
    liked: tuple[int, int], disliked: tuple[int, int], alike: float
) -> None:
    """(clusters, values in each) without a difference: clear of zero on either side in 5 % at most."""
    dice = random.Random(11)
    found = [
        gap_interval(drawn(dice, "a", *liked, alike), drawn(dice, "b", *disliked, alike)) for _ in range(1000)
    ]
    assert sum(each.low > 0 for each in found) <= 55
    assert sum(each.high < 0 for each in found) <= 55


def test_values_that_were_all_cut_are_taken_to_vary_as_the_other_side_does() -> None:
    """Rewards of a coin, cut at 20 on both sides of zero: three alike are no proof that all would be."""
    dice = random.Random(11)

    def tossed(side: str, count: int) -> list[tuple[float, str]]:
        return [(dice.choice((-20.0, 20.0)), f"{side}{at}") for at in range(count)]

    found = [gap_interval(tossed("a", 3), tossed("b", 14)) for _ in range(1000)]
    assert sum(each.low > 0 for each in found) <= 55, "0.12 where equal values counted as certain"
    same = [(1.0, "a"), (1.0, "b")]
    assert gap_interval(same, same) == (0.0, 0.0, 0.0)


def test_copies_of_one_conversation_are_no_new_evidence() -> None:
    first, second = [3.0, 1.0, 2.5, 0.5], [0.0, 1.5, -1.0, 1.0]

    def width(times: int) -> float:
        found = gap_interval(
            [(value, f"a{at}") for at, value in enumerate(first) for _ in range(times)],
            [(value, f"b{at}") for at, value in enumerate(second) for _ in range(times)],
        )
        return found.high - found.low

    independent = gap_interval(
        [(value, f"a{at}{n}") for at, value in enumerate(first) for n in range(8)],
        [(value, f"b{at}{n}") for at, value in enumerate(second) for n in range(8)],
    )
    assert width(8) > 2 * (independent.high - independent.low)
    assert width(8) == pytest.approx(width(1), rel=0.2)


def test_coverage_of_the_clustered_interval() -> None:
    dice = random.Random(7)
    covered = naive = 0
    for _ in range(400):
        rows: list[list[tuple[float, str]]] = [[], []]
        for conversation in range(12):
            mood = dice.gauss(0, 2)
            rows[conversation % 2] += [(mood + dice.gauss(0, 1), str(conversation)) for _ in range(4)]
        found = gap_interval(rows[0], rows[1], 0.9)
        single = gap_interval(
            *([(value, f"{side}{at}") for at, (value, _) in enumerate(rows[side])] for side in (0, 1)), 0.9
        )
        covered += found.low <= 0 <= found.high
        naive += single.low <= 0 <= single.high
    assert covered / 400 > 0.85
    assert naive / 400 < 0.75, "the simulation is no test if the naive interval passes it too"


@pytest.mark.parametrize("conversations", [3, 5])
def test_few_conversations_are_no_certainty(conversations: int) -> None:
    """Three rows in each, most of them liked or most disliked; the rewards are noise around one mood each."""
    dice = random.Random(5)
    wrong = tried = 0
    while tried < 400:
        rows: list[list[tuple[float, str]]] = [[], []]
        for conversation in range(conversations):
            mood, lean = dice.gauss(0, 1), dice.choice((0.1, 0.9))
            for _ in range(3):
                rows[dice.random() < lean].append((mood + dice.gauss(0, 1), str(conversation)))
        if min(map(len, rows)) >= 2:
            tried += 1
            found = gap_interval(rows[0], rows[1], 0.9)
            wrong += not found.low <= 0 <= found.high
    assert wrong / 400 < 0.2, (
        "0.1 is meant; it was 0.28 with three conversations before few ones were allowed for"
    )


def test_deviations_that_cancel_within_conversations_leave_an_interval() -> None:
    liked = [(reward, "a") for reward in (5.0, -4.0, 3.0, -2.5)]
    disliked = [(reward, "b") for reward in (4.0, -5.0, 2.0, -1.0)]
    found = gap_interval(liked, disliked, 0.9)
    assert found.low < -3
    assert found.high > 3


@pytest.mark.parametrize(("first", "second"), [([], []), ([(1.0, "a")], [(0.0, "b"), (1.0, "c")])])
def test_too_little_for_a_gap(first: list[tuple[float, str]], second: list[tuple[float, str]]) -> None:
    with pytest.raises(ValueError, match="two values of each"):
        gap_interval(first, second)
    with pytest.raises(ValueError, match="two clusters"):
        gap_interval([(1.0, "a"), (2.0, "a")], [(1.0, "a"), (0.0, "a")])


@unhurried
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_share_is_scipys(both: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    expected = binomtest(*both).proportion_ci(0.9, method="exact")
    assert clopper_pearson(*both, 0.9)[1:] == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("both", [(1, 0), (3, 2), (-1, 4)])
def test_no_share(both: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no share"):
        clopper_pearson(*both)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [((0, 0), (0, 0), 0.5), ((8, 2), (0, 4), 0.995), ((3, 9), (4, 0), 0.0065), ((5, 5), (5, 5), 0.5)],
)
def test_how_sure_one_rate_exceeds_another(
    old: tuple[int, int], new: tuple[int, int], expected: float
) -> None:
    assert exceeds(old, new) == pytest.approx(expected, abs=0.001)


# --- sequential tests -------------------------------------------------------------------------------


@unhurried
@given(st.floats(0.05, 0.95), st.floats(0.02, 0.5))
def test_looking_after_every_trial_is_wrong_at_most_alpha_often(null: float, alpha: float) -> None:
    """Exact, not simulated: the chance of any decision within 150 looks while nothing differs."""
    found = SequentialTest.power(null, 150, alpha, null)
    assert found["better"] + found["worse"] <= alpha
    assert found["better"] <= alpha / 2 + 1e-12
    assert found["worse"] <= alpha / 2 + 1e-12


@unhurried
@given(st.floats(0.0, 1.0))
def test_the_wrong_side_is_never_likely(rate: float) -> None:
    found = SequentialTest.power(rate, 120, 0.05)
    assert found["worse" if rate > 0.5 else "better"] <= 0.025


@unhurried
@given(counts, counts, st.floats(0.05, 0.95))
def test_the_bet_does_not_grow_on_average_under_the_null(wins: int, losses: int, null: float) -> None:
    """The martingale property itself, state by state: this is what Ville's inequality needs."""
    now = one_sided(wins, losses, null)
    then = null * one_sided(wins + 1, losses, null) + (1 - null) * one_sided(wins, losses + 1, null)
    assert then == pytest.approx(now, rel=1e-8, abs=1e-12)


def test_power_grows_with_the_difference_and_the_number_of_trials() -> None:
    found = [SequentialTest.power(rate, 60)["better"] for rate in (0.5, 0.65, 0.8, 0.95)]
    assert found == sorted(found)
    assert found[0] <= 0.025
    assert found[2] > 0.9
    assert found[3] > 0.999
    assert SequentialTest.power(0.7, 120)["better"] > SequentialTest.power(0.7, 40)["better"]
    assert SequentialTest.power(0.95, 60)["trials"] < 15 < SequentialTest.power(0.5, 60)["trials"]


def test_power_is_what_a_simulation_finds() -> None:
    dice = random.Random(3)
    better = 0
    for _ in range(1000):
        test = SequentialTest(0.05)
        while test.decided is None and test.wins + test.losses < 40:
            test.update(dice.random() < 0.75)
        better += test.decided == "better"
    assert better / 1000 == pytest.approx(SequentialTest.power(0.75, 40)["better"], abs=0.05)


def test_a_decision_stays() -> None:
    test = SequentialTest()
    decisions = [test.update(True) for _ in range(12)]
    assert decisions[-1] == "better"
    assert decisions[:3] == [None] * 3
    assert test.e_value > 20
    for _ in range(60):
        test.update(False)
    assert test.decided == "better"
    worse = SequentialTest()
    for _ in range(12):
        worse.update(False)
    assert worse.decided == "worse"


@pytest.mark.parametrize("bad", [0.0, 1.0, -1.0])
def test_levels_that_are_none(bad: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        SequentialTest(bad)
    with pytest.raises(ValueError, match="rate to beat"):
        SequentialTest(0.05, bad)
    with pytest.raises(ValueError, match="alpha"):
        TwoSampleTest(bad)


@pytest.mark.parametrize("rate", [0.15, 0.5, 0.9])
def test_two_equal_coins_are_told_apart_at_most_alpha_often(rate: float) -> None:
    """Optional stopping: looked at after each of 40 trials. alpha for either side."""
    dice = random.Random(5)
    wrong = {"better": 0, "worse": 0, None: 0}
    for _ in range(150):
        test = TwoSampleTest(0.1)
        for _ in range(15):
            test.update(False, dice.random() < rate)
        for _ in range(40):
            if test.update(True, dice.random() < rate):
                break
        wrong[test.decided] += 1
    assert wrong["better"] <= 150 * 0.1
    assert wrong["worse"] <= 150 * 0.1


def test_two_different_coins_are_told_apart() -> None:
    dice = random.Random(6)
    found = []
    for _ in range(100):
        test = TwoSampleTest(0.05)
        for _ in range(24):
            test.update(False, dice.random() < 0.25)
        while test.decided is None and sum(test.new) < 40:
            test.update(True, dice.random() < 0.85)
        found.append(test.decided)
    assert found.count("better") > 90
    assert found.count("worse") == 0


@unhurried
@given(counts, counts, counts, counts)
def test_the_two_sides_mirror_each_other_and_never_both_win(a: int, b: int, c: int, d: int) -> None:
    one, other = TwoSampleTest(), TwoSampleTest()
    one.new, one.old, other.new, other.old = [a, b], [c, d], [c, d], [a, b]
    assert one.e_values == pytest.approx(other.e_values[::-1], rel=1e-9)
    assert min(one.e_values) <= 1.0 + 1e-9
