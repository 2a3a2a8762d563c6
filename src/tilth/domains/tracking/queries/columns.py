"""The values of the columns of a list: only what was asked for leaves the database."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import select

from tilth.backends.sql import Tx
from tilth.domains.tracking.queries.filters import opaque
from tilth.domains.tracking.queries.metrics import GREATEST, LEAST, MAX_METRICS_PER_RUN
from tilth.domains.tracking.queries.runs import MAX_RUNS_AT_ONCE, params_of, tags_of
from tilth.domains.tracking.rules.columns import Columns
from tilth.domains.tracking.tables import metric_last, run
from tilth.wire.tracking import MetricValue, RunInfo, RunRow, to_json_value


def rows_with_values(tx: Tx, project_id: str, runs: Sequence[RunInfo], columns: Columns) -> list[RunRow]:
    """The runs with the values of the columns; any number of runs, 500 at a time."""
    rows: list[RunRow] = []
    for start in range(0, len(runs), MAX_RUNS_AT_ONCE):
        some = runs[start : start + MAX_RUNS_AT_ONCE]
        ids = [info.id for info in some]
        metrics = _metrics(tx, project_id, ids, columns)
        params = params_of(tx, project_id, ids, columns.params)
        tags = tags_of(tx, project_id, ids, columns.tags)
        rows += [RunRow(info, metrics.get(info.id, {}), params.get(info.id, {}), tags.get(info.id, {})) for info in some]
    return rows


def _metrics(tx: Tx, project_id: str, run_ids: Sequence[str], columns: Columns) -> dict[str, dict[str, MetricValue]]:
    if columns.metrics == () or not run_ids:
        return {}
    names = ("run_id", "key", "value", "step", "count")
    named = [metric_last.c[name].label(f"the_{name}") for name in names]
    statement = (
        select(*named, LEAST.label("the_min"), GREATEST.label("the_max"))
        .join(run, run.c.id == metric_last.c.run_id)
        .where(metric_last.c.run_id.in_(list(run_ids)), opaque(run.c.project_id == project_id))
    )
    if columns.metrics is not None:
        statement = statement.where(metric_last.c.key.in_({key for _, key, _ in columns.metrics}))
    by_run: dict[str, dict[str, MetricValue]] = {}
    for row in tx.all(statement.order_by(metric_last.c.run_id, metric_last.c.key).limit(MAX_METRICS_PER_RUN * len(run_ids))):
        shown = by_run.setdefault(row.the_run_id, {})
        last = math.nan if row.the_value is None else row.the_value
        if columns.metrics is None:
            shown[row.the_key] = to_json_value(last)
            continue
        figures = {"last": last, "min": row.the_min, "max": row.the_max, "step": row.the_step, "count": row.the_count}
        for column, key, statistic in columns.metrics:
            figure = figures[statistic]
            if key == row.the_key:
                shown[column] = to_json_value(math.nan if figure is None else figure)
    return by_run
