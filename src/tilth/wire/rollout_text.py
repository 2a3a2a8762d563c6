"""The steps of a rollout as people type them, in a terminal or a form: `5:10m,20,100`."""

from __future__ import annotations

import re

from tilth.core.errors import Invalid
from tilth.wire.rollouts import StepPlan

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)")


class UnreadableSteps(Invalid):
    """Text that says no steps, or no span of time."""


def seconds_of(text: str) -> float:
    """Of `90`, `90s`, `10m`, `2h` or `1d`. Raises UnreadableSteps."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise UnreadableSteps(f"{text[:40]!r} is no span of time: write 30s, 10m, 2h or 1d")
    return float(found[1]) * SECONDS[found[2] or "s"]


def steps_of(text: str, bake: str) -> tuple[StepPlan, ...]:
    """Percent of each step, and how long it lasts where that is not `bake`. Raises UnreadableSteps."""
    steps = []
    for part in text.split(","):
        percent, _, span = part.partition(":")
        try:
            share = float(percent.strip().removesuffix("%"))
        except ValueError:
            raise UnreadableSteps(f"{part.strip()[:40]!r} is no step: write percents and spans, such as 5:10m,20,100") from None
        steps.append(StepPlan(share, seconds_of(span or bake)))
    return tuple(steps)


def span_text(seconds: float) -> str:
    """`90 s`, `10 min`, `8 min 31 s` or `1 d 2 h`: below two minutes in seconds, else by its two largest units."""
    if seconds < 120 and seconds != 60:
        return f"{seconds:g} s"
    rest = round(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)
