import json
import math
import random
from collections.abc import Sequence
from statistics import pvariance

import numpy as np
import pytest
from scipy import stats

from env.bench.report import (
    clustered_bootstrap,
    crossed_bootstrap,
    first_closing,
    percentile,
    resampled,
    table,
    to_json,
    wilson,
)


@pytest.mark.parametrize(("hits", "trials"), [(0, 50), (1, 7), (25, 50), (49, 50), (50, 50), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(hits, trials, level):
    ours = wilson(hits, trials, level)
    theirs = stats.binomtest(hits, trials).proportion_ci(level, method="wilson")
    assert ours == pytest.approx((hits / trials, theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.mean <= ours.high


@pytest.mark.parametrize(("hits", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(hits, trials):
    with pytest.raises(ValueError, match="no share"):
        wilson(hits, trials)


def scipys(values):
    found = stats.bootstrap(
        (np.asarray(values),), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    return found.low, found.high


def test_clusters_of_one_give_the_ordinary_bootstrap_of_scipy():
    values = np.random.default_rng(7).normal(3.0, 1.0, 60)
    ours = clustered_bootstrap([[value] for value in values], draws=20_000)
    assert ours.mean == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(scipys(values), abs=0.015)


def test_one_cluster_gives_the_ordinary_bootstrap_of_its_values():
    values = np.random.default_rng(8).normal(3.0, 1.0, 60)
    ours = clustered_bootstrap([values], draws=20_000)
    assert (ours.low, ours.high) == pytest.approx(scipys(values), abs=0.015)


def test_equal_values_within_clusters_count_as_one_value_each():
    means = [0.0, 0.1, 0.4, 0.5, 0.5, 0.8, 0.9, 1.0]
    clustered = clustered_bootstrap([[mean] * 50 for mean in means], draws=20_000)
    loose = clustered_bootstrap([[mean] for mean in means for _ in range(50)])
    assert (clustered.low, clustered.high) == pytest.approx(scipys(means), abs=0.015)
    assert clustered.high - clustered.low > 4 * (loose.high - loose.low)


def test_uneven_clusters_weigh_by_their_values_and_the_seed_fixes_the_interval():
    clusters = [[1.0], [0.0, 0.0, 0.0], []]
    ours = clustered_bootstrap(clusters, seed=5)
    assert ours.mean == 0.25
    assert (ours.low, ours.high) == (0.0, 1.0)
    assert ours == clustered_bootstrap(clusters, seed=5)
    with pytest.raises(ValueError, match="at least one"):
        clustered_bootstrap([[], []])


@pytest.mark.parametrize(
    ("curve", "base", "found"),
    [
        ({0: 0.2, 8: 0.2, 16: 1.0}, 0.2, (16, 14.4)),
        ({0: 0.2, 8: 0.84, 16: 0.3}, 0.2, (8, 8.0)),  # the first time counts, also if it is lost again
        ({16: 1.0, 0: 0.0, 8: 0.4}, 0.0, (16, 13.333333)),
        ({0: 0.2, 40: 0.83}, 0.2, (None, None)),
        ({0: 1.0, 4: 1.0}, 1.0, (0, 0.0)),  # nothing to close
    ],
)
def test_first_closing_is_the_first_measured_count_and_the_crossing(curve, base, found):
    assert first_closing(curve, base, 0.8) == found


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_percentile_is_numpys(share, count):
    values = list(np.random.default_rng(count).normal(size=count))
    assert percentile(values, share) == pytest.approx(np.quantile(values, share))


def test_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 0.5)


def test_a_table_is_aligned_and_shows_what_is_missing():
    assert table(["arm", "N"], [["base", None], ["weights", 1.23456], ["all", 24]]).splitlines() == [
        "arm          N",
        "-------  -----",
        "base         -",
        "weights  1.235",
        "all         24",
    ]


def test_json_is_standard_and_one_line():
    line = to_json({"a": (0.123456, math.nan), 8: {"n": None, "inf": math.inf, "text": "é\n"}})
    assert "\n" not in line
    assert json.loads(line) == {"a": [0.1235, None], "8": {"n": None, "inf": None, "text": "é\n"}}


def test_what_seeds_share_is_not_counted_once_a_taste() -> None:
    """Eight tastes of five seeds that differ by seed alone are five observations, and not forty."""
    levels = [0.2, 0.4, 0.5, 0.7, 0.9]
    cells = [(taste, seed) for taste in "abcdefgh" for seed in range(5)]
    values = [[levels[seed]] * 10 for _, seed in cells]
    ours = crossed_bootstrap(values, cells, draws=20_000)
    of_five = clustered_bootstrap([[level] for level in levels], draws=20_000)
    assert ours.mean == pytest.approx(0.54)
    assert (ours.low, ours.high) == pytest.approx((of_five.low, of_five.high), abs=0.03)
    as_forty = clustered_bootstrap(values)
    assert as_forty.high - as_forty.low < 0.6 * (ours.high - ours.low)


def test_effects_of_both_kinds_add_up() -> None:
    chance = random.Random(4)
    rows, columns = [chance.gauss(0, 1) for _ in range(30)], [chance.gauss(0, 1) for _ in range(30)]
    cells = [(row, column) for row in range(30) for column in range(30)]
    ours = crossed_bootstrap([[rows[row] + columns[column]] for row, column in cells], cells, draws=4000)
    wide = 2 * 1.96 * math.sqrt((pvariance(rows) + pvariance(columns)) / 30)
    assert ours.high - ours.low == pytest.approx(wide, rel=0.08)


def test_with_one_label_of_a_kind_clusters_are_independent_and_empty_ones_say_nothing() -> None:
    clusters = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    alone = crossed_bootstrap(clusters, [(taste, 0) for taste in "abc"])
    assert alone == clustered_bootstrap(clusters)
    some = crossed_bootstrap([*clusters, []], [("a", 0), ("b", 1), ("b", 0), ("a", 1)])
    assert some.mean == pytest.approx(0.5)
    assert some.low <= some.mean <= some.high


def test_indices_are_drawn_by_their_labels_too() -> None:
    cells = [(taste, seed) for taste in range(6) for seed in range(3)]
    seen: list[Sequence[int]] = []

    def mean(drawn: Sequence[int]) -> float:
        seen.append(drawn)
        return sum(cells[at][1] for at in drawn) / len(drawn)

    low, high = resampled(len(cells), mean, labels=cells)
    assert {len(drawn) for drawn in seen} == {18}
    assert (low, high) == (pytest.approx(0.0, abs=0.34), pytest.approx(2.0, abs=0.34))
