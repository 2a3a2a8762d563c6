"""What a sweep looks like: its parallel coordinates, and how strongly each param goes with the objective. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from tilth.web.formatting import number
from tilth.wire.sweeps import Goal, TrialView

MAX_AXES = 12
MAX_LINES = 500
SHADES = 5
WIDTH, HEIGHT, TOP, SIDE = 900, 260, 34, 52


@dataclass(frozen=True, slots=True)
class Axis:
    """A param, or the objective. places: from 0 (bottom) to 1 for each trial, None where it lacks the value. ends: texts of both ends."""

    name: str
    places: Sequence[float | None]
    ends: tuple[str, str]


def parallel_coordinates(trials: Sequence[TrialView], metric: str, goal: Goal) -> Markup | None:
    """One line for each trial that has a value, the better the stronger its colour.

    None with fewer than two lines, or where no param differs.
    """
    shown = [trial for trial in trials if _finite(trial.value)][:MAX_LINES]
    names = [name for name in shown[0].params if len({str(trial.params.get(name)) for trial in shown}) > 1] if shown else []
    if len(shown) < 2 or not names:
        return None
    axes = [axis_of(name, [trial.params.get(name) for trial in shown]) for name in names[: MAX_AXES - 1]]
    axes.append(axis_of(metric, [trial.value for trial in shown]))
    xs = [SIDE + (WIDTH - 2 * SIDE) * place / (len(axes) - 1) for place in range(len(axes))]
    # The best are drawn last, above the others.
    worst_first = sorted(range(len(shown)), key=lambda at: shown[at].value or 0.0, reverse=goal == "minimize")
    body = [_line(shown[at], at, axes, xs, shade=1 + SHADES * rank // len(shown)) for rank, at in enumerate(worst_first)]
    body += [_axis(axis, x) for axis, x in zip(axes, xs, strict=True)]
    label = f"Parallel coordinates of {len(shown)} trials: {', '.join(axis.name for axis in axes)}"
    return Markup('<svg class="chart parallel" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("".join(body))
    )


def axis_of(name: str, values: Sequence[Any]) -> Axis:
    """Numbers by their size, or by powers of ten where they span more than two; anything else in order of its text."""
    known = [value for value in values if value is not None]
    if all(_finite(value) for value in known):
        low, high = min(known), max(known)
        log = low > 0 and high / low > 100
        scale = math.log10 if log else float
        a, b = scale(low), scale(high)
        places = [None if value is None else ((scale(value) - a) / (b - a) if b > a else 0.5) for value in values]
        return Axis(name, places, (number(low), number(high)))
    words = sorted({str(value) for value in known})
    places = [None if value is None else words.index(str(value)) / max(1, len(words) - 1) for value in values]
    return Axis(name, places, (words[0], words[-1]))


def rank_correlations(trials: Sequence[TrialView]) -> list[tuple[str, float]]:
    """Spearman's rank correlation of each numeric param that varies with the objective, -1 to 1, the strongest first.

    At least five trials, else none: of fewer it says little. It sees only what rises or falls throughout, and one param at a time.
    Source: Spearman, The proof and measurement of association between two things (1904); ties get their mean rank.
    """
    shown = [trial for trial in trials if _finite(trial.value)]
    if len(shown) < 5:
        return []
    found = []
    for name in shown[0].params:
        pairs = [(trial.params.get(name), trial.value) for trial in shown]
        numeric = [(float(x), float(y)) for x, y in pairs if x is not None and _finite(x) and y is not None]
        if len(numeric) == len(shown) and len({x for x, _ in numeric}) > 1:
            found.append((name, _correlation(_ranks([x for x, _ in numeric]), _ranks([y for _, y in numeric]))))
    return sorted(found, key=lambda pair: -abs(pair[1]))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(order)))}
    return [first[value] + (order.count(value) - 1) / 2 for value in values]


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    product = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    spread = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
    return product / spread if spread else 0.0


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _y(place: float) -> float:
    return TOP + (HEIGHT - 2 * TOP) * (1 - place)


def _line(trial: TrialView, at: int, axes: Sequence[Axis], xs: Sequence[float], shade: int) -> str:
    points = [(x, axis.places[at]) for axis, x in zip(axes, xs, strict=True)]
    path = "L".join(f"{x:.1f} {_y(place):.1f}" for x, place in points if place is not None)
    return f'<path class="trial r{shade}" d="M{path}"><title>{escape(f"trial {trial.number}: {number(trial.value or 0.0)}")}</title></path>'


def _axis(axis: Axis, x: float) -> str:
    low, high = axis.ends
    return (
        f'<path class="axis-line" d="M{x:.1f} {TOP}V{HEIGHT - TOP}"/>'
        f'<text class="axis-name" x="{x:.1f}" y="11" text-anchor="middle">{escape(axis.name[:24])}</text>'
        f'<text x="{x:.1f}" y="{TOP - 5}" text-anchor="middle">{escape(high[:14])}</text>'
        f'<text x="{x:.1f}" y="{HEIGHT - TOP + 14}" text-anchor="middle">{escape(low[:14])}</text>'
    )
