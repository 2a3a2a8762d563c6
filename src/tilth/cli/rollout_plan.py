"""A rollout as it is written on the command line: `5:10m,20,100`, `max_p99_ms=50`, `auc=0.02`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def seconds_of(text: str) -> float:
    """Of `90`, `90s`, `10m`, `2h` or `1d`. Raises click.UsageError."""
    found = SPAN.fullmatch(text.strip())
    if found is None:
        raise click.UsageError(f"{text!r} is no span of time: write 30s, 10m, 2h or 1d")
    return float(found[1]) * SECONDS[found[2] or "s"]


def steps_of(text: str, bake: str) -> list[dict[str, float]]:
    """`5:10m,20,100`: percent of each step, and how long it lasts where that is not `bake`."""
    steps = []
    for part in text.split(","):
        percent, _, span = part.partition(":")
        try:
            share = float(percent.strip().removesuffix("%"))
        except ValueError:
            raise click.UsageError(f"{part.strip()!r} is no step: write percents and spans, such as 5:10m,20,100") from None
        steps.append({"percent": share, "bake_s": seconds_of(span or bake)})
    return steps


def guardrails_of(limits: Iterable[str], labels: Iterable[str], least_labels: int) -> dict[str, Any]:
    """limits: `name=number`, or `name=off`. labels: `metric=how much worse`."""
    rails: dict[str, Any] = {}
    for limit in limits:
        name, value = _pair(limit, "a guardrail", "max_error_rate=0.02 or max_p99_ms=off")
        rails[name if name.startswith(("max_", "p99_")) else f"max_{name}"] = value
    watched = []
    for label in labels:
        metric, worse = _pair(label, "a label guardrail", "auc=0.02")
        watched.append({"metric": metric, "max_worse": worse, "min_labels": least_labels})
    return rails | ({"labels": watched} if watched else {})


def _pair(text: str, what: str, example: str) -> tuple[str, float | None]:
    name, sign, value = text.partition("=")
    try:
        return name.strip(), None if sign and value.strip() == "off" else float(value)
    except ValueError:
        raise click.UsageError(f"{text!r} is not {what}: write {example}") from None
