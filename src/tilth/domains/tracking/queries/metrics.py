"""Metrics: latest values of many runs, summaries of one, histories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sqlalchemy import BigInteger, bindparam, func, select, tuple_

from tilth.backends.sql import Hot, Tx, hot
from tilth.domains.tracking.queries.filters import opaque
from tilth.domains.tracking.rules.batches import MAX_INT64
from tilth.domains.tracking.rules.curves import MAX_POINTS, Point, thinned_stream
from tilth.domains.tracking.tables import metric_last, metric_point, run
from tilth.wire.tracking import MetricHistory, MetricSummary, MetricValue, to_json_value

MAX_RUNS_AT_ONCE = 500
MAX_METRICS_PER_RUN = 5000
CHUNK_POINTS = 20_000

LEAST = func.coalesce(metric_last.c.min, metric_last.c.value)
GREATEST = func.coalesce(metric_last.c.max, metric_last.c.value)

_PLACE = ("after_step", "after_ts", "after_seq")
_BEFORE_ALL = (-MAX_INT64 - 1, -MAX_INT64 - 1, -MAX_INT64 - 1)
_after = (
    metric_point.c.run_id == bindparam("run_id"),
    metric_point.c.key == bindparam("key"),
    tuple_(metric_point.c.step, metric_point.c.ts, metric_point.c.seq)
    > tuple_(*(bindparam(name, type_=BigInteger) for name in _PLACE)),
    metric_point.c.step <= bindparam("until_step"),
)
_IS_MINE: Hot = hot(select(run.c.id).where(run.c.id == bindparam("run_id"), run.c.project_id == bindparam("project_id")))
_POINTS_AFTER: Hot = hot(select(func.count()).select_from(metric_point).where(*_after))
_NEXT_POINTS: Hot = hot(
    select(metric_point.c.step, metric_point.c.ts, metric_point.c.value, metric_point.c.seq)
    .where(*_after)
    .order_by(metric_point.c.step, metric_point.c.ts, metric_point.c.seq)
    .limit(CHUNK_POINTS)
)


def latest_metrics(
    tx: Tx, project_id: str, run_ids: Sequence[str], keys: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Last value of each metric (or of those in `keys`) of at most 500 runs. One round trip by primary key; NaN is math.nan."""
    asked = list(run_ids)[:MAX_RUNS_AT_ONCE]
    statement = (
        select(metric_last.c.run_id, metric_last.c.key, metric_last.c.value)
        .join(run, run.c.id == metric_last.c.run_id)
        .where(metric_last.c.run_id.in_(asked), opaque(run.c.project_id == project_id))
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
            LEAST.label("min"),
            GREATEST.label("max"),
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
        .where(metric_last.c.run_id.in_(asked), opaque(run.c.project_id == project_id))
        .distinct()
        .order_by(metric_last.c.key)
        .limit(limit)
    )
    return [row.key for row in found]


def _history(
    tx: Tx, project_id: str, run_id: str, key: str, most: int, after_step: int | None, until_step: int | None
) -> MetricHistory:
    mine: dict[str, str | int] = {"run_id": run_id, "key": key, "until_step": MAX_INT64 if until_step is None else until_step}
    after = _BEFORE_ALL if after_step is None else (after_step, MAX_INT64, MAX_INT64)
    place = dict(zip(_PLACE, after, strict=True))
    if tx.scalar(_IS_MINE, run_id=run_id, project_id=project_id) is None:
        return MetricHistory(key, [], 0)
    total = int(tx.scalar(_POINTS_AFTER, **mine, **place))
    found = thinned_stream(_chunks(tx, mine, after), total, most)
    return MetricHistory(key, [(step, ts, _shown(value)) for step, ts, value in found], total)


def _chunks(tx: Tx, mine: dict[str, str | int], after: tuple[int, int, int]) -> Iterator[list[Point]]:
    """The points in their order, so many at a time that a million of them never stand in memory at once."""
    while True:
        found = tx.all(_NEXT_POINTS, **mine, **dict(zip(_PLACE, after, strict=True)))
        if not found:
            return
        after = (found[-1][0], found[-1][1], found[-1][3])
        yield [(row[0], row[1], row[2]) for row in found]
        if len(found) < CHUNK_POINTS:
            return


def _shown(value: float | None) -> MetricValue:
    return "NaN" if value is None else to_json_value(value)
