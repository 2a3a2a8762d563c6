"""Metrics: latest values of many runs, summaries of one, histories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select

from tilth.backends.sql import Tx
from tilth.domains.tracking.rules.curves import MAX_POINTS, Point, thinned
from tilth.domains.tracking.tables import metric_last, metric_point, run
from tilth.wire.tracking import MetricHistory, MetricSummary, MetricValue, to_json_value

MAX_RUNS_AT_ONCE = 500
MAX_METRICS_PER_RUN = 5000
MAX_HISTORY_POINTS = 500_000
"""Of a longer history the newest steps are read."""


def latest_metrics(
    tx: Tx, project_id: str, run_ids: Sequence[str], keys: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Last value of each metric (or of those in `keys`) of at most 500 runs. One round trip by primary key; NaN is math.nan."""
    asked = list(run_ids)[:MAX_RUNS_AT_ONCE]
    statement = (
        select(metric_last.c.run_id, metric_last.c.key, metric_last.c.value)
        .join(run, run.c.id == metric_last.c.run_id)
        .where(metric_last.c.run_id.in_(asked), run.c.project_id == project_id)
    )
    if keys is not None:
        statement = statement.where(metric_last.c.key.in_(list(keys)))
    by_run: dict[str, dict[str, float]] = {}
    found = tx.all(statement.order_by(metric_last.c.run_id, metric_last.c.key).limit(MAX_METRICS_PER_RUN * max(1, len(asked))))
    for row in found:
        by_run.setdefault(row.run_id, {})[row.key] = math.nan if row.value is None else row.value
    return by_run


def metric_summaries(tx: Tx, project_id: str, run_id: str) -> list[MetricSummary]:
    """Last, least and greatest of every metric of one run, by key."""
    found = tx.all(
        select(
            metric_last.c.key,
            metric_last.c.value,
            metric_last.c.step,
            metric_last.c.ts,
            metric_last.c.min,
            metric_last.c.max,
            metric_last.c.count.label("points"),
        )
        .join(run, run.c.id == metric_last.c.run_id)
        .where(metric_last.c.run_id == run_id, run.c.project_id == project_id)
        .order_by(metric_last.c.key)
        .limit(MAX_METRICS_PER_RUN)
    )
    return [
        MetricSummary(
            key=row.key,
            value=_shown(row.value),
            step=row.step,
            ts=row.ts,
            min=None if row.min is None else to_json_value(row.min),
            max=None if row.max is None else to_json_value(row.max),
            count=row.points,
        )
        for row in found
    ]


def metric_histories(
    tx: Tx,
    project_id: str,
    run_id: str,
    keys: Sequence[str],
    *,
    most: int = MAX_POINTS,
    after_step: int | None = None,
    until_step: int | None = None,
) -> dict[str, MetricHistory]:
    """Curves of the metrics `keys` (those the run lacks are left out), thinned to `most` points each.

    Of the steps after `after_step` and up to `until_step`, that one included.
    """
    histories: dict[str, MetricHistory] = {}
    for key in keys:
        history = _history(tx, project_id, run_id, key, most, after_step, until_step)
        if history.total:
            histories[key] = history
    return histories


def metric_keys(tx: Tx, project_id: str, run_ids: Sequence[str], limit: int = 500) -> list[str]:
    """Keys that at least one of at most 500 runs has."""
    asked = list(run_ids)[:MAX_RUNS_AT_ONCE]
    found = tx.all(
        select(metric_last.c.key)
        .join(run, run.c.id == metric_last.c.run_id)
        .where(metric_last.c.run_id.in_(asked), run.c.project_id == project_id)
        .distinct()
        .order_by(metric_last.c.key)
        .limit(limit)
    )
    return [row.key for row in found]


def _history(
    tx: Tx, project_id: str, run_id: str, key: str, most: int, after_step: int | None, until_step: int | None
) -> MetricHistory:
    wanted: list[ColumnElement[bool]] = [metric_point.c.run_id == run_id, metric_point.c.key == key]
    wanted.append(select(run.c.id).where(run.c.id == run_id, run.c.project_id == project_id).exists())
    if after_step is not None:
        wanted.append(metric_point.c.step > after_step)
    if until_step is not None:
        wanted.append(metric_point.c.step <= until_step)
    total = int(tx.scalar(select(func.count()).select_from(metric_point).where(*wanted)))
    columns: list[Any] = [metric_point.c.step, metric_point.c.ts, metric_point.c.value]
    newest = [metric_point.c.step.desc(), metric_point.c.ts.desc(), metric_point.c.seq.desc()]
    found = tx.all(select(*columns).where(*wanted).order_by(*newest).limit(MAX_HISTORY_POINTS))
    points: list[Point] = [(row.step, row.ts, row.value) for row in reversed(found)]
    return MetricHistory(key, [(step, ts, _shown(value)) for step, ts, value in thinned(points, most)], total)


def _shown(value: float | None) -> MetricValue:
    return "NaN" if value is None else to_json_value(value)
