"""Quantiles and tails that tests of significance need, without a statistics library in the control process. Pure.

Accurate to about 1e-10, held to SciPy by the tests. Source: Press et al., Numerical Recipes, 3rd edition, 6.2 and 6.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_CLOSE = 1e-15
_MOST_TERMS = 10_000


def normal_quantile(share: float) -> float:
    """0 < share < 1."""
    return _NORMAL.inv_cdf(share)


def chi_square_tail(value: float, degrees: float) -> float:
    """Probability of more than `value` >= 0; degrees > 0."""
    return _upper_gamma(degrees / 2, value / 2)


def t_quantile(share: float, degrees: float) -> float:
    """Of Student's t, 0 < share < 1, degrees > 0 and not necessarily whole."""
    if share == 0.5:
        return 0.0
    if share < 0.5:
        return -t_quantile(1 - share, degrees)
    if degrees > 1e5:
        # Cornish and Fisher's first correction: the next one is below 1e-10 here, and the fraction below loses digits.
        z = normal_quantile(share)
        return z + (z**3 + z) / (4 * degrees)
    low, high = 0.0, 1.0
    while _t_tail(high, degrees) > 1 - share:
        high *= 2
    return _bisected(lambda t: _t_tail(t, degrees) - (1 - share), low, high)


def _t_tail(t: float, degrees: float) -> float:
    """Probability of more than t >= 0."""
    return _beta_share(degrees / (degrees + t * t), degrees / 2, 0.5) / 2


def _bisected(falling: Callable[[float], float], low: float, high: float) -> float:
    while high - low > 1e-13 * max(1.0, high):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges fast on this side of the mean; the other side is its mirror image.
    if x < (a + 1) / (a + b + 2):
        return front / a / _fraction(1.0, _beta_terms(x, a, b))
    return 1 - front / b / _fraction(1.0, _beta_terms(1 - x, b, a))


def _beta_terms(x: float, a: float, b: float) -> Iterator[tuple[float, float]]:
    for term in count(1):
        m = term // 2
        if term % 2:
            yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        else:
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0


def _upper_gamma(a: float, x: float) -> float:
    """The regularised upper incomplete gamma function Q(a, x)."""
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        part = total = 1 / a
        for term in range(1, _MOST_TERMS):
            part *= x / (a + term)
            total += part
            if part < total * _CLOSE:
                break
        return 1 - front * total
    terms = ((-term * (term - a), x + 1 - a + 2 * term) for term in count(1))
    return front / _fraction(x + 1 - a, terms)


def _fraction(first: float, terms: Iterator[tuple[float, float]]) -> float:
    """The continued fraction first + a1/(b1 + a2/(b2 + ...)) for terms (a, b), by Lentz's method."""
    value = first or _TINY
    above, below = value, 0.0
    for _, (a, b) in zip(range(_MOST_TERMS), terms, strict=False):
        below = 1 / ((b + a * below) or _TINY)
        above = (b + a / above) or _TINY
        change = above * below
        value *= change
        if abs(change - 1) < _CLOSE:
            break
    return value
