"""Values with their 95 % intervals, drawn on the server as SVG. Pure: numbers in, markup out; colours are CSS classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tilth.web.charts import nice_ticks
from tilth.web.formatting import number


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the bounds of its interval, None where none is known. label: what it is; tone: class of its colour."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    tone: str = "f1"

    @property
    def bounds(self) -> tuple[float, float]:
        return (self.value if self.low is None else self.low, self.value if self.high is None else self.high)


def span_of(intervals: Sequence[Interval], *more: float) -> tuple[float, float]:
    """What an axis must show of all of them, with a little air."""
    values = [bound for each in intervals for bound in each.bounds] + [each.value for each in intervals] + list(more)
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    air = (high - low) * 0.08 or abs(high) * 0.05 or 0.5
    return low - air, high + air


def interval_bar(each: Interval, span: tuple[float, float], *, limit: float | None = None, width: int = 150) -> Markup:
    """A word-sized bar: the interval as a band, the value as a dot, a limit as a line."""

    def x(value: float) -> float:
        low, high = span
        share = (value - low) / (high - low) if high > low else 0.5
        return 3 + (width - 6) * min(max(share, 0.0), 1.0)

    low, high = each.bounds
    body = [f'<path class="axis" d="M2 9H{width - 2}"/>']
    if high > low:
        body.append(f'<rect class="band" x="{x(low):.1f}" y="5" width="{max(x(high) - x(low), 1):.1f}" height="8" rx="3"/>')
    if limit is not None and math.isfinite(limit):
        body.append(f'<path class="budget" d="M{x(limit):.1f} 1V17"/>')
    body.append(f'<circle class="{each.tone}" cx="{x(each.value):.1f}" cy="9" r="3.2"/>')
    said = f"{each.label}: {number(each.value)}" + (f", 95 % interval {number(low)} to {number(high)}" if high > low else "")
    return Markup(
        '<svg class="chart interval" viewBox="0 0 {} 18" width="{}" height="18" role="img" aria-label="{}">{}</svg>'
    ).format(width, width, said, Markup("".join(body)))


def worth_bar(each: Interval, span: tuple[float, float], *, width: int = 180) -> Markup:
    """A word-sized bar from zero to the value, with a whisker from bound to bound. span: of all bars below each other, with zero."""
    low, high = span
    wide = (high - low) or 1.0

    def x(value: float) -> float:
        return 3 + (width - 6) * (value - low) / wide

    under, over = each.bounds
    left, right = sorted((x(0.0), x(each.value)))
    tone = "bar" if each.value >= 0 else "bar soft"
    body = (
        f'<rect class="{tone}" x="{left:.1f}" y="4" width="{max(right - left, 1):.1f}" height="10" rx="2"/>'
        f'<path class="whisker" d="M{x(under):.1f} 9H{x(over):.1f}M{x(under):.1f} 6v6M{x(over):.1f} 6v6"/>'
        f'<path class="axis" d="M{x(0.0):.1f} 1V17"/>'
    )
    said = f"{each.label}: {number(each.value)}, between {number(under)} and {number(over)}"
    return Markup(
        '<svg class="chart interval" viewBox="0 0 {} 18" width="{}" height="18" role="img" aria-label="{}">{}</svg>'
    ).format(width, width, said, Markup(body))


def interval_columns(
    intervals: Sequence[Interval], label: str, *, limit: float | None = None, width: int = 560, height: int = 250
) -> Markup:
    """One dot with its whisker per interval, from left to right, over an axis of values; the limit as a line across."""
    left, top, bottom = 46.0, 10.0, 24.0
    low, high = span_of(intervals, *([limit] if limit is not None else []))
    wide, tall = width - left - 10, height - top - bottom

    def y(value: float) -> float:
        return top + tall * (1 - (value - low) / (high - low))

    body = []
    for tick in nice_ticks(low, high):
        body.append(f'<path class="grid-line" d="M{left:g} {y(tick):.1f}H{left + wide:g}"/>')
        body.append(f'<text x="{left - 6:g}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    step = wide / max(len(intervals), 1)
    every = max(1, math.ceil(len(intervals) / 16))
    for place, each in enumerate(intervals):
        x, (under, over) = left + step * (place + 0.5), each.bounds
        if over > under:
            ends = f"M{x - 4:.1f} {y(under):.1f}h8M{x - 4:.1f} {y(over):.1f}h8"
            body.append(f'<path class="whisker" d="M{x:.1f} {y(under):.1f}V{y(over):.1f}{ends}"/>')
        named = f"<title>{escape(each.label)}: {number(each.value)}</title>"
        body.append(f'<circle class="{each.tone}" cx="{x:.1f}" cy="{y(each.value):.1f}" r="4">{named}</circle>')
        if place % every == 0:
            body.append(f'<text x="{x:.1f}" y="{height - 7}" text-anchor="middle">{escape(each.label)}</text>')
    if limit is not None:
        body.append(f'<path class="budget" d="M{left:g} {y(limit):.1f}H{left + wide:g}"/>')
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, label, Markup("".join(body))
    )
