"""Whole runs for leaving, page by page, in the form in which they can come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select, tuple_

from tilth.backends.sql import Row, Tx
from tilth.domains.tracking.queries.imports import tallies
from tilth.domains.tracking.queries.runs import params_of, tags_of
from tilth.domains.tracking.tables import experiment, metric_point, run, run_input, run_model
from tilth.wire.imports import ExportedPoints, ExportedRuns, ImportedModel, ImportRun
from tilth.wire.tracking import DatasetInput, Environment, to_json_value

MAX_PAGE = 200
MAX_POINTS = 25_000
_RUN = [
    run.c.id,
    experiment.c.name.label("experiment"),
    run.c.name,
    run.c.status,
    run.c.started,
    run.c.ended,
    run.c.user_name,
    run.c.source,
    run.c.notes,
    run.c.error,
    run.c.parent_run_id,
    run.c.archived,
    run.c.environment,
]


def exported_runs(tx: Tx, project_id: str, after: str, limit: int) -> ExportedRuns:
    """Runs that are not deleted, in order of ids; limit at most MAX_PAGE."""
    most = max(1, min(limit, MAX_PAGE))
    joined = select(*_RUN).join_from(run, experiment, experiment.c.id == run.c.experiment_id)
    alive = joined.where(run.c.project_id == project_id, run.c.deleted_at.is_(None), run.c.id > after)
    rows = tx.all(alive.order_by(run.c.id).limit(most))
    ids = [row.id for row in rows]
    params, tags = params_of(tx, project_id, ids), tags_of(tx, project_id, ids)
    inputs, models = _inputs(tx, ids), _models(tx, ids)
    runs = [
        ImportRun(
            **{name: value for name, value in row._asdict().items() if name != "environment"},
            environment=None if row.environment is None else msgspec.convert(row.environment, Environment),
            params=params.get(row.id, {}),
            tags=tags.get(row.id, {}),
            inputs=inputs.get(row.id, []),
            models=models.get(row.id, []),
        )
        for row in rows
    ]
    return ExportedRuns(runs, tallies(tx, project_id, ids), ids[-1] if len(ids) == most else "")


def exported_points(tx: Tx, project_id: str, run_id: str, after: Sequence[Any] | None, limit: int) -> ExportedPoints | None:
    """Every point of a run, by key, step and moment; limit at most MAX_POINTS. after: the place that the page before ended at.

    None for a run that is not in the project.
    """
    if tx.one(select(run.c.id).where(run.c.project_id == project_id, run.c.id == run_id)) is None:
        return None
    place = (metric_point.c.key, metric_point.c.step, metric_point.c.ts, metric_point.c.seq)
    wanted = [metric_point.c.run_id == run_id]
    if after is not None:
        wanted.append(tuple_(*place) > tuple_(*after))
    most = max(1, min(limit, MAX_POINTS))
    rows = tx.all(select(*place, metric_point.c.value).where(*wanted).order_by(*place).limit(most))
    points = [(row.key, row.step, row.ts, "NaN" if row.value is None else to_json_value(row.value)) for row in rows]
    token = msgspec.json.encode([rows[-1].key, rows[-1].step, rows[-1].ts, rows[-1].seq]).decode() if len(rows) == most else ""
    return ExportedPoints(points, token)


def _inputs(tx: Tx, run_ids: list[str]) -> dict[str, list[DatasetInput]]:
    """run_ids: of one project."""
    columns = [run_input.c[name] for name in DatasetInput.__struct_fields__]
    found = select(run_input.c.run_id, *columns).where(run_input.c.run_id.in_(run_ids))
    by_run: dict[str, list[DatasetInput]] = {}
    for row in tx.all(found.order_by(run_input.c.run_id, run_input.c.created, run_input.c.name).limit(1000 * MAX_PAGE)):
        by_run.setdefault(row.run_id, []).append(DatasetInput(**_without(row, "run_id")))
    return by_run


def _models(tx: Tx, run_ids: list[str]) -> dict[str, list[ImportedModel]]:
    """run_ids: of one project."""
    found = select(run_model.c.run_id, run_model.c.model_id, run_model.c.direction, run_model.c.step)
    by_run: dict[str, list[ImportedModel]] = {}
    for row in tx.all(found.where(run_model.c.run_id.in_(run_ids)).order_by(run_model.c.run_id).limit(1000 * MAX_PAGE)):
        by_run.setdefault(row.run_id, []).append(ImportedModel(row.model_id, row.direction, row.step))
    return by_run


def _without(row: Row, column: str) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name != column}
