"""Intervals, tables and JSON that the benches share. Pure functions; numpy loads when one is called."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """An estimate with the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


def wilson(hits: int, trials: int, level: float = 0.95) -> Interval:
    """Share `hits / trials` with Wilson's score interval (Wilson 1927), sound near 0 and 1 too.

    Raises ValueError unless 0 <= hits <= trials and trials > 0.
    """
    if not 0 <= hits <= trials or trials == 0:
        raise ValueError(f"{hits} of {trials} is no share.")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = hits / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # at 0 and at `trials` hits the bound is exact, and rounding must not push it past the share
    return Interval(share, min(max(0.0, centre - half), share), max(min(1.0, centre + half), share))


def clustered_bootstrap(
    clusters: Sequence[Sequence[float]], level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean over all values, with a percentile interval from a two-stage bootstrap.

    Values of one cluster (say, one simulated person's prompts) are not independent, so whole clusters
    are drawn with replacement, and then values within each drawn cluster (Davison & Hinkley 1997,
    section 3.8). Clusters of one value each give the ordinary bootstrap. Raises ValueError without values.
    """
    import numpy as np

    filled = [np.asarray(cluster, dtype=float) for cluster in clusters if len(cluster)]
    if not filled:
        raise ValueError("An interval needs at least one value.")
    chance = np.random.default_rng(seed)
    picked = chance.integers(len(filled), size=(draws, len(filled)))
    total, count = np.zeros(draws), np.zeros(draws)
    for index, values in enumerate(filled):
        times = (picked == index).sum(axis=1)
        rows = np.repeat(np.arange(draws), times)
        sums = chance.choice(values, size=(len(rows), len(values))).sum(axis=1)
        total += np.bincount(rows, weights=sums, minlength=draws)
        count += times * len(values)
    low, high = np.quantile(total / count, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(np.concatenate(filled).mean()), float(low), float(high))


def crossed_bootstrap(
    clusters: Sequence[Sequence[float]],
    labels: Sequence[tuple[Hashable, Hashable]],
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean over all values of clusters that have two `labels` each, as of a taste and of a draw of questions.

    Clusters with a label in common are not independent. So the labels of either kind are drawn with
    replacement, each on its own, and a cluster counts as often as both of its labels together (the pigeonhole
    bootstrap, Owen 2007, Annals of Applied Statistics 1.2; its variance is a bound from above). Where one
    kind has a single label the clusters are independent: `clustered_bootstrap`.
    """
    import numpy as np

    filled = [(values, both) for values, both in zip(clusters, labels, strict=True) if len(values)]
    if not _crossed([both for _, both in filled]):
        return clustered_bootstrap(clusters, level, draws, seed)
    times = _times([both for _, both in filled], draws, seed)
    sums, counts = (np.array([each(values) for values, _ in filled], float) for each in (sum, len))
    total, number = times @ sums, times @ counts
    # where cells are missing a draw may hold none; it says nothing
    low, high = np.quantile((total / np.maximum(number, 1))[number > 0], [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


def _crossed(labels: Sequence[tuple[Hashable, Hashable]]) -> bool:
    return bool(labels) and min(len(set(kind)) for kind in zip(*labels, strict=True)) > 1


def _times(labels: Sequence[tuple[Hashable, Hashable]], draws: int, seed: int) -> Any:
    """(draws, cells): how often each cell is in a draw of both kinds of label."""
    import numpy as np

    chance = np.random.default_rng(seed)
    found = np.ones((draws, len(labels)))
    for kind in zip(*labels, strict=True):
        known = list(dict.fromkeys(kind))
        drawn = chance.multinomial(len(known), [1 / len(known)] * len(known), size=draws)
        found *= drawn[:, [known.index(label) for label in kind]]
    return found


def resampled(
    count: int,
    statistic: Callable[[Sequence[int]], float],
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
    labels: Sequence[tuple[Hashable, Hashable]] = (),
) -> tuple[float, float]:
    """Percentile interval of `statistic`, which is given `count` indices drawn with replacement.

    For what is no mean (Efron 1979). Infinite values are ranked as they are, never averaged. With `labels`
    of the items, these are drawn as in `crossed_bootstrap`.
    """
    import numpy as np

    if _crossed(labels):
        times = _times(labels, draws, seed).astype(int)
        drawn = [np.repeat(np.arange(count), each).tolist() for each in times if each.any()]
    else:
        chance = np.random.default_rng(seed)
        drawn = [chance.integers(count, size=count).tolist() for _ in range(draws)]
    values, draws = sorted(map(statistic, drawn)), len(drawn)
    low, high = 0.5 - level / 2, 0.5 + level / 2
    return values[math.floor(low * (draws - 1))], values[math.ceil(high * (draws - 1))]


def first_closing(
    curve: Mapping[int, float], base: float, share: float, full: float = 1.0
) -> tuple[int | None, float | None]:
    """When `curve` (count -> level) first closes `share` of the gap from `base` to `full`.

    Twice: the first measured count that does, and the crossing itself if the curve is straight between
    its points. (None, None) if it never does.
    """
    # the target is a sum of rounded floats; a curve that meets it exactly must not miss it by 1e-16
    target = base + share * (full - base) - 1e-9
    before: tuple[int, float] | None = None
    for count, level in sorted(curve.items()):
        if level >= target:
            if before is None:
                return count, float(count)
            part = (target - before[1]) / (level - before[1])
            return count, round(before[0] + part * (count - before[0]), 6)
        before = (count, level)
    return None, None


def percentile(values: Sequence[float], share: float) -> float:
    """The `share` quantile (0.95 for p95), linear between the ranks. ValueError without values."""
    if not values:
        raise ValueError("A percentile needs at least one value.")
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned plain text: first column left, the others right; None is "-", floats have 3 digits."""
    cells = [list(headers), *[[_cell(value) for value in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = []
    for row in cells:
        rest = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def to_json(result: Mapping[str, Any], digits: int = 4) -> str:
    """`result` as one line of standard JSON: floats rounded, NaN and infinity as null."""
    return json.dumps(_plain(result, digits), ensure_ascii=False, allow_nan=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _plain(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, digits) for item in value]
    return value
