"""What came of the second time: metrics side by side, and what the machines have that the other has not."""

from __future__ import annotations

import math
from typing import Any

from tilth.wire.tracking import Environment, MetricSummary, RunDetail

COLUMNS = ("metric", "first", "again", "difference")


def metric_rows(first: RunDetail, again: RunDetail) -> list[dict[str, Any]]:
    """Last values; `system/` left out. difference: `same`, a number, or None where one of them has no number."""
    before, after = _values(first), _values(again)
    return [
        {
            "metric": key,
            "first": before.get(key),
            "again": after.get(key),
            "difference": _difference(before.get(key), after.get(key)),
        }
        for key in sorted(before | after)
    ]


def counterpart(first: RunDetail, again: RunDetail) -> str:
    """Id of the run to compare with: a nested run is found by its name among those that the program made within the new one."""
    if first.run.parent_run_id is not None:
        for child in again.children:
            if child.name == first.run.name:
                return child.id
    return again.run.id


def machine_differences(then: Environment, now: Environment) -> list[str]:
    """Sentences about processor, memory, graphics cards and system."""
    pairs = (
        ("processor", then.cpu, now.cpu),
        ("processor cores", then.cpu_count or "", now.cpu_count or ""),
        ("graphics cards", ", ".join(then.gpus) or "none", ", ".join(now.gpus) or "none"),
        ("CUDA", then.cuda or "none", now.cuda or "none"),
        ("system", then.platform, now.platform),
    )
    told = [f"{what}: the run had {was}, here is {is_}" for what, was, is_ in pairs if was and is_ and was != is_]
    if then.memory_mb > now.memory_mb > 0:
        told.append(f"memory: the run had {then.memory_mb:,} MiB, here are {now.memory_mb:,} MiB")
    return told


def _values(detail: RunDetail) -> dict[str, Any]:
    return {metric.key: _value(metric) for metric in detail.metrics if not metric.key.startswith("system/")}


def _value(metric: MetricSummary) -> Any:
    return metric.value


def _difference(first: Any, again: Any) -> Any:
    if first == again:
        return "same"
    if isinstance(first, int | float) and isinstance(again, int | float) and math.isfinite(again - first):
        return again - first
    return None
