"""Charts drawn on the server as SVG. Pure: numbers in, markup out. Colours are CSS classes, so that light and dark both work.

Text that comes from outside is escaped; no attribute `style` is used, since the content policy forbids it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tilth.web.formatting import latency, number

SERIES_COLOURS = 8
MARK_ROWS, MARK_ROW, MARK_LETTER = 4, 12, 6.2
"""Rows of names above a histogram, the height of one, and the width of a letter, in pixels."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: label and points (x, y) in order of x; y that is not finite breaks the line."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of a drawing that data occupies, in pixels, and the data range shown in it."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + self.width * ((value - low) / (high - low) if high > low else 0.5)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.top + self.height * (1 - ((value - low) / (high - low) if high > low else 0.5))


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers within [low, high], about `wanted` of them, steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """What an axis shows: the finite values and a twentieth more on each side."""
    finite = [min(max(value, -1e300), 1e300) for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    if high == low:
        slack = abs(high) * 0.1 or 1.0
        return low - slack, high + slack
    room = (high - low) * 0.05
    return low - room, high + room


def _svg(width: float, height: float, label: str, body: Sequence[str], css: str = "chart") -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">{}</svg>').format(
        css, width, height, label, Markup("".join(body))
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", css: str = "") -> str:
    kind = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'


def _path(frame: Frame, points: Sequence[tuple[float, float]]) -> str:
    steps: list[str] = []
    pen_up = True
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            pen_up = True
            continue
        steps.append(f"{'M' if pen_up else 'L'}{frame.x(x):.1f} {frame.y(y):.1f}")
        pen_up = False
    return "".join(steps)


def thin(points: Sequence[tuple[float, float]], at_most: int) -> list[tuple[float, float]]:
    """At most about `at_most` points that keep each stretch's lowest and highest value, so that spikes stay visible."""
    if len(points) <= at_most:
        return list(points)
    size = math.ceil(len(points) / (at_most / 2))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        indexed = list(enumerate(points[start : start + size]))
        finite = [pair for pair in indexed if math.isfinite(pair[1][1])] or indexed[:1]
        ends = {min(finite, key=lambda pair: pair[1][1])[0], max(finite, key=lambda pair: pair[1][1])[0]}
        kept.extend(indexed[position][1] for position in sorted(ends))
    return kept


def curves(series: Sequence[Series], label: str, width: int = 420, height: int = 190) -> Markup:
    """Lines over a common x with axes: what is seen of a metric without JavaScript."""
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points]
    frame = Frame(46, 8, width - 56, height - 32, (min(xs, default=0), max(xs, default=1)), _span(ys))
    body = _axes(frame, nice_ticks(*frame.x_range), nice_ticks(*frame.y_range))
    for index, line in enumerate(series):
        body.append(
            f'<path class="curve-line s{index % SERIES_COLOURS + 1}" d="{_path(frame, thin(line.points, 300))}">'
            f"<title>{escape(line.label)}</title></path>"
        )
    return _svg(width, height, label, body)


def progress(
    values: Sequence[float], names: Sequence[str], *, lower_is_better: bool, width: int = 360, height: int = 196
) -> Markup:
    """One dot per run in order of start, and the best so far as a line. Values that are not finite are left out."""
    dots = [(float(place), value, names[place]) for place, value in enumerate(values) if math.isfinite(value)]
    frame = Frame(46, 8, width - 56, height - 22, (0, max(len(values) - 1, 1)), _span([value for _, value, _ in dots]))
    body = _axes(frame, [], nice_ticks(*frame.y_range))
    best: list[tuple[float, float]] = []
    for x, value, _ in dots:
        record = value if not best else (min if lower_is_better else max)(best[-1][1], value)
        if best:
            best.append((x, best[-1][1]))
        best.append((x, record))
    body.append(f'<path class="curve-line s1" d="{_path(frame, best)}"/>')
    body.extend(
        f'<circle class="f2" cx="{frame.x(x):.1f}" cy="{frame.y(value):.1f}" r="3"><title>{escape(name)}: {number(value)}</title></circle>'
        for x, value, name in dots
    )
    return _svg(width, height, "Value of each run in order of start, with the best so far", body)


_STANDALONE = {
    'class="grid-line"': 'stroke="#dfe4e8"',
    "<text ": '<text font-family="sans-serif" font-size="11" fill="#64717d" ',
    **{
        f'class="curve-line s{index}"': f'fill="none" stroke="{colour}" stroke-width="1.8"'
        for index, colour in enumerate(
            ("#117a52", "#1d5bbf", "#d0602a", "#8a45ad", "#b0224f", "#6f7d12", "#0e7f96", "#8a6a3c"), 1
        )
    },
}


def standalone(drawing: Markup) -> str:
    """The drawing as a file of its own, which no style sheet reaches: colours become attributes."""
    text = str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    for css, attributes in _STANDALONE.items():
        text = text.replace(css, attributes)
    return text


def _axes(frame: Frame, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> list[str]:
    right, bottom = frame.left + frame.width, frame.top + frame.height
    body = []
    for tick in y_ticks:
        y = frame.y(tick)
        body.append(f'<path class="grid-line" d="M{frame.left:g} {y:.1f}H{right:g}"/>')
        body.append(_text(frame.left - 6, y + 4, f"{tick:.6g}", "end"))
    body.extend(_text(frame.x(tick), bottom + 16, f"{tick:.6g}") for tick in x_ticks)
    return body


def bars(counts: Sequence[float], labels: Sequence[str], label: str, width: int = 420, height: int = 160) -> Markup:
    """A histogram or bar chart; `labels` has one entry per bar, shown where there is room."""
    top = max([*counts, 1e-12])
    frame = Frame(8, 10, width - 16, height - 34, (0, max(len(counts), 1)), (0, top))
    every = max(1, math.ceil(len(labels) / 8))
    body = []
    for index, value in enumerate(counts):
        x, y = frame.x(index) + 1, frame.y(value)
        wide = frame.width / len(counts) - 2
        body.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{max(wide, 1):.1f}" height="{frame.top + frame.height - y:.1f}" rx="1.5">'
            f"<title>{escape(labels[index])}: {number(value)}</title></rect>"
        )
        if index % every == 0:
            body.append(_text(x + wide / 2, height - 8, labels[index]))
    body.append(f'<path class="axis" d="M{frame.left:g} {frame.top + frame.height:.1f}h{frame.width:g}"/>')
    return _svg(width, height, label, body)


def latency_bars(
    counts: Sequence[int], bounds_us: Sequence[int], budget_us: int, marks: dict[str, float], width: int = 640, height: int = 196
) -> Markup:
    """Histogram of latencies over a logarithmic axis, with the budget and marks such as p50 and p99 (microseconds) as lines.

    counts: one per bucket of `bounds_us` (upper bounds) and one more for the rest. Neighbouring buckets are joined three by three.
    """
    joined: list[tuple[float, float, int]] = []
    for start in range(0, len(counts), 3):
        seen = sum(counts[start : start + 3])
        low = bounds_us[start - 1] if start else bounds_us[0] / 1.1
        high = bounds_us[min(start + 2, len(bounds_us) - 1)]
        if seen and high > low:
            joined.append((low, high, seen))
    low_us = min([low for low, _, _ in joined] + [budget_us / 40])
    high_us = max([high for _, high, _ in joined] + [budget_us * 2])
    frame = Frame(
        8,
        MARK_ROWS * MARK_ROW + 4,
        width - 16,
        height - MARK_ROWS * MARK_ROW - 28,
        (math.log10(low_us), math.log10(high_us)),
        (0, max([n for *_, n in joined] + [1])),
    )
    body = [f'<path class="axis" d="M{frame.left:g} {frame.top + frame.height:.1f}h{frame.width:g}"/>']
    body.extend(_latency_bar(frame, *bar, over=bar[1] > budget_us * 1.1) for bar in joined)
    decades = range(math.ceil(math.log10(low_us)), math.floor(math.log10(high_us)) + 1)
    body.extend(_text(frame.x(decade), height - 6, latency(10.0**decade)) for decade in decades)
    body.extend(_marks(frame, budget_us, marks))
    return _svg(width, height, f"Latency of requests against a budget of {latency(budget_us)}", body)


def _latency_bar(frame: Frame, low_us: float, high_us: float, seen: int, *, over: bool) -> str:
    base = frame.top + frame.height
    left, right = frame.x(math.log10(low_us)), frame.x(math.log10(high_us))
    tall = max(base - frame.y(seen), 1.5)
    return (
        f'<rect class="{"bar over" if over else "bar"}" x="{left:.1f}" y="{base - tall:.1f}" '
        f'width="{max(right - left - 1.5, 1):.1f}" height="{tall:.1f}" rx="1.5">'
        f"<title>{latency(low_us)} to {latency(high_us)}: {seen:,} requests</title></rect>"
    )


def _marks(frame: Frame, budget_us: int, marks: dict[str, float]) -> list[str]:
    """Lines with their names above them; a name goes one row down where it would run into one to its left."""
    base = frame.top + frame.height
    lines = [(at_us, name, "mark", "strong") for name, at_us in marks.items()]
    body, ends = [], [-1e9] * MARK_ROWS
    for at_us, name, line, css in sorted([*lines, (budget_us, "budget", "budget", "budget-text")]):
        x = min(max(frame.x(math.log10(max(at_us, 1))), frame.left), frame.left + frame.width)
        said = f"{name} {latency(at_us)}"
        wide = MARK_LETTER * len(said)
        start = x + 4 if x + 4 + wide <= frame.left + frame.width else x - 4 - wide
        row = next((row for row, end in enumerate(ends) if start > end), MARK_ROWS - 1)
        ends[row] = start + wide + 4
        body.append(f'<path class="{line}" d="M{x:.1f} {MARK_ROW * row + 2:g}V{base:.1f}"/>')
        body.append(_text(start, MARK_ROW * row + 10, said, "start", css))
    return body


def calibration_curve(predicted: Sequence[float], observed: Sequence[float], counts: Sequence[int], size: int = 260) -> Markup:
    """Observed share against predicted probability, bin by bin; the dotted diagonal is a perfectly calibrated model.

    All three have one entry per bin; the area of a dot grows with the number of rows in its bin.
    """
    frame = Frame(36, 10, size - 46, size - 42, (0, 1), (0, 1))
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    body = _axes(frame, ticks, ticks)
    body.append(f'<path class="ideal" d="{_path(frame, [(0, 0), (1, 1)])}"/>')
    points = list(zip(predicted, observed, strict=True))
    body.append(f'<path class="curve-line s1" d="{_path(frame, points)}"/>')
    most = max([*counts, 1])
    for (x, y), seen in zip(points, counts, strict=True):
        body.append(
            f'<circle class="f1" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="{2 + 4 * math.sqrt(seen / most):.1f}">'
            f"<title>predicted {number(x)}, observed {number(y)}, {seen:,} rows</title></circle>"
        )
    return _svg(size, size, "Calibration: observed share against predicted probability", body, "chart square")
