"""The beta and Student's t distributions, as far as `statistics` needs them, without scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

EPSILON = 1e-14


def t_quantile(share: float, freedom: float) -> float:
    """The `share` quantile of Student's t with `freedom` degrees of freedom, by bisection."""
    if share < 0.5:
        return -t_quantile(1 - share, freedom)
    high = 1.0
    while _t_cdf(high, freedom) < share:
        high *= 2
        if high > 1e12:
            return math.inf
    return root(lambda t: _t_cdf(t, freedom) - share, 0.0, high)


def _t_cdf(t: float, freedom: float) -> float:
    return 1 - beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def log_beta(a: float, b: float) -> float:
    """Natural logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) (Numerical Recipes, 3rd ed., section 6.4)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta(a, b)) / a
    # Lentz's method for the continued fraction
    tiny = 1e-300
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1), tiny)
    found = d
    for m in range(1, 10_000):
        for part in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + part * d, tiny)
            c = _away(1 + part / c, tiny)
            found *= d * c
        if abs(d * c - 1) < EPSILON:
            break
    return min(1.0, front * found)


def _away(value: float, tiny: float) -> float:
    return tiny if abs(value) < tiny else value


def root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where `rising` changes its sign between `low` and `high`, to the last bit."""
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
