"""Guardrails as they are written on the command line: `max_p99_ms=50`, `auc=0.02`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import msgspec

from tilth.wire.rollouts import Guardrails

KNOWN = tuple(field.name for field in msgspec.structs.fields(Guardrails) if field.name != "labels")


def guardrails_of(limits: Iterable[str], labels: Iterable[str], least_labels: int) -> dict[str, Any]:
    """limits: `name=number`, or `name=off`. labels: `metric=how much worse`."""
    rails: dict[str, Any] = {}
    for limit in limits:
        name, value = _pair(limit, "a guardrail", "max_error_rate=0.02 or max_p99_ms=off")
        name = name if name.startswith(("max_", "p99_")) else f"max_{name}"
        if name not in KNOWN:
            raise click.UsageError(f"there is no guardrail {name!r}; there are {', '.join(KNOWN)}")
        rails[name] = value
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
