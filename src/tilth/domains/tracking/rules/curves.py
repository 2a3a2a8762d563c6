"""Long metric histories, drawn with few points."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[int, int, float | None]
"""(step, moment in ms, value); None for NaN."""

MAX_POINTS = 2000


def thinned(points: Sequence[Point], most: int = MAX_POINTS) -> list[Point]:
    """At most `most` (>= 4) of the points, in order: first, last, and of each stretch the least and the greatest value.

    A spike of one step stays visible, which sampling every n-th point would lose. A stretch of nothing but NaN keeps its first.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretches = max(1, (most - 2) // 2)
    kept = [points[0]]
    for number in range(stretches):
        stretch = inner[len(inner) * number // stretches : len(inner) * (number + 1) // stretches]
        if stretch:
            numbers = [place for place, point in enumerate(stretch) if point[2] is not None] or [0]
            least = min(numbers, key=lambda place: stretch[place][2] or 0.0)
            greatest = max(numbers, key=lambda place: stretch[place][2] or 0.0)
            kept += [stretch[place] for place in sorted({least, greatest})]
    kept.append(points[-1])
    return kept
