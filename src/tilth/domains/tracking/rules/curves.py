"""Long metric histories, drawn with few points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[int, int, float | None]
"""(step, moment in ms, value); None for NaN."""

MAX_POINTS = 2000


def thinned(points: Sequence[Point], most: int = MAX_POINTS) -> list[Point]:
    """As `thinned_stream`, of points that are all at hand."""
    return thinned_stream((points,), len(points), most)


def thinned_stream(chunks: Iterable[Sequence[Point]], total: int, most: int = MAX_POINTS) -> list[Point]:
    """At most `most` (>= 4) of `total` points, in order: first, last, and of each stretch the least and the greatest value.

    A spike of one step stays visible, which sampling every n-th point would lose. A stretch of nothing but NaN keeps its first.
    Chunks follow each other and are let go one by one, so that a million points need the memory of one chunk.
    """
    kept: list[Point] = []
    inner, stretches = total - 2, max(1, (most - 2) // 2)
    number, seen = 0, 0
    waiting: list[Point] = []
    for chunk in chunks:
        if total <= most:
            kept += chunk
            continue
        start = 0
        if seen == 0 and chunk:
            kept.append(chunk[0])
            start = 1
        seen += len(chunk)
        # Indices count from the second point: the first and the last one stay in any case.
        waiting += chunk[start:]
        begin = inner * number // stretches
        while number < stretches and (end := inner * (number + 1) // stretches) <= seen - 1:
            kept += _extremes(waiting[: end - begin])
            del waiting[: end - begin]
            number, begin = number + 1, end
    return kept if total <= most else [*kept, waiting[-1]]


def _extremes(stretch: Sequence[Point]) -> list[Point]:
    if not stretch:
        return []
    values = [point[2] for point in stretch]
    numbers = [value for value in values if value is not None]
    if not numbers:
        return [stretch[0]]
    return [stretch[place] for place in sorted({values.index(min(numbers)), values.index(max(numbers))})]
