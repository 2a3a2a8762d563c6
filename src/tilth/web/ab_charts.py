"""The course of an A/B test, drawn on the server as SVG. Pure: numbers in, markup out; colours are CSS classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from tilth.web.charts import SERIES_COLOURS, nice_ticks
from tilth.web.formatting import MINUS
from tilth.wire.ab import AbPoint

WIDEST = 5.0
"""Intervals begin very wide. Beyond so many times the last one they are cut off, or nothing of the end could be seen."""


def course(points: Sequence[AbPoint], effect: float, width: int = 560, height: int = 250) -> Markup:
    """Each arm less the control over labelled units: the difference as a line in the band of its bounds, which hold at every look.

    The line across is no difference; the dotted ones are the smallest difference that matters. points: at least one; in order of units
    within each version.
    """
    left, top, bottom, right = 52.0, 10.0, 36.0, 24.0
    versions = sorted({point.version for point in points})
    most, least = max(point.units for point in points), min(point.units for point in points)
    low, high = _span(points, effect)
    wide, tall = width - left - right, height - top - bottom

    def x(units: float) -> float:
        return left + wide * ((units - least) / (most - least) if most > least else 1.0)

    def y(value: float) -> float:
        return top + tall * (1 - (min(max(value, low), high) - low) / (high - low))

    body = []
    for tick in nice_ticks(low, high):
        body.append(f'<path class="grid-line" d="M{left:g} {y(tick):.1f}H{width - right:g}"/>')
        body.append(f'<text x="{left - 6:g}" y="{y(tick) + 4:.1f}" text-anchor="end">{_signed(tick)}</text>')
    marks = nice_ticks(least, most, 5)
    body += [f'<text x="{x(tick):.1f}" y="{height - 20}" text-anchor="middle">{tick:,.0f}</text>' for tick in marks]
    body.append(f'<text x="{left + wide / 2:.1f}" y="{height - 4}" text-anchor="middle">labelled callers of both arms</text>')
    for place, version in enumerate(versions):
        body.append(_arm([point for point in points if point.version == version], place, x, y))
    body += [f'<path class="ideal" d="M{left:g} {y(level):.1f}H{width - right:g}"/>' for level in (effect, -effect)]
    body.append(f'<path class="whisker" d="M{left:g} {y(0):.1f}H{width - right:g}"/>')
    last = "; ".join(_said(points, version) for version in versions)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, f"Difference to the control as it developed. {last}", Markup("".join(body))
    )


def _signed(value: float) -> str:
    return f"{value:+.4g}".replace("-", MINUS) if value else "0"


def _span(points: Sequence[AbPoint], effect: float) -> tuple[float, float]:
    last = {point.version: point for point in points}
    ends = [bound for point in last.values() for bound in (point.low, point.high)]
    half = max(point.high - point.low for point in last.values()) / 2 * WIDEST
    values = [point.difference for point in points]
    low = max(min(point.low for point in points), min(values) - half)
    high = min(max(point.high for point in points), max(values) + half)
    low, high = min(low, *ends, -effect), max(high, *ends, effect)
    air = (high - low) * 0.05 or 0.5
    return low - air, high + air


def _arm(points: Sequence[AbPoint], place: int, across: Callable[[float], float], up: Callable[[float], float]) -> str:
    """A band and the line in it; of a single place a whisker and a dot. across, up: places in the drawing of units and of values."""
    colour = place % SERIES_COLOURS + 1
    title = f"<title>{escape(_said(points, points[-1].version))}</title>"
    if points[0].units == points[-1].units:
        only = points[-1]
        at = across(only.units)
        return (
            f'<path class="whisker" d="M{at:.1f} {up(only.low):.1f}V{up(only.high):.1f}"/>'
            f'<circle class="f{colour}" cx="{at:.1f}" cy="{up(only.difference):.1f}" r="4">{title}</circle>'
        )
    over = "L".join(f"{across(point.units):.1f} {up(point.high):.1f}" for point in points)
    under = "L".join(f"{across(point.units):.1f} {up(point.low):.1f}" for point in reversed(points))
    line = "L".join(f"{across(point.units):.1f} {up(point.difference):.1f}" for point in points)
    return f'<path class="band thin" d="M{over}L{under}Z"/><path class="curve-line s{colour}" d="M{line}">{title}</path>'


def _said(points: Sequence[AbPoint], version: int) -> str:
    last = [point for point in points if point.version == version][-1]
    return f"v{version}: {_signed(last.difference)}, {_signed(last.low)} to {_signed(last.high)}"
