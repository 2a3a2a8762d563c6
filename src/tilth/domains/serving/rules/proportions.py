"""Intervals of shares. Pure."""

from __future__ import annotations

import math

Z_99 = 2.5758293035489
"""Of a two-sided interval of 99 %."""


def wilson(hits: float, of: int, z: float = Z_99) -> tuple[float, float]:
    """Bounds of the share behind `hits` of `of` trials, both 0 to 1; (0, 1) without trials.

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if of <= 0:
        return 0.0, 1.0
    share, square = hits / of, z * z
    middle = share + square / (2 * of)
    width = z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    scale = 1 + square / of
    # Clamped to the share itself: at 0 and 1 rounding leaves the bound a hair beyond it.
    return min(max((middle - width) / scale, 0.0), share), max(min((middle + width) / scale, 1.0), share)


def difference(hits: float, of: int, other_hits: float, other_of: int, z: float = Z_99) -> tuple[float, float]:
    """Bounds of the first share less the second, -1 to 1; (-1, 1) without trials on either side.

    Source: Newcombe, Interval estimation for the difference between independent proportions, method 10 (1998).
    """
    if of <= 0 or other_of <= 0:
        return -1.0, 1.0
    first, second = hits / of, other_hits / other_of
    low, high = wilson(hits, of, z)
    other_low, other_high = wilson(other_hits, other_of, z)
    down = math.hypot(first - low, other_high - second)
    up = math.hypot(high - first, second - other_low)
    return first - second - down, first - second + up
