"""Runs: one, a page of them, those that run now; and what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, select

from tilth.backends.sql import Row, Tx
from tilth.domains.tracking.queries.filters import opaque
from tilth.domains.tracking.queries.metrics import metric_summaries
from tilth.domains.tracking.tables import experiment, param, run, run_input, tag
from tilth.wire.tracking import DatasetInput, Environment, ResourceUse, RunDetail, RunInfo

MAX_RUNS_AT_ONCE = 500
MAX_KEYS_PER_RUN = 5000

_INFO = [
    run.c.id,
    run.c.experiment_id,
    experiment.c.name.label("experiment"),
    run.c.name,
    run.c.status,
    run.c.parent_run_id,
    run.c.started,
    run.c.ended,
    run.c.user_id,
    run.c.user_name,
    run.c.source,
    run.c.notes,
    run.c.last_heartbeat,
    run.c.deleted_at,
]
_FIELDS = tuple(name for name in RunInfo.__struct_fields__ if name != "deleted")


def run_info(tx: Tx, project_id: str, run_id: str) -> RunInfo | None:
    row = tx.one(_infos(project_id).where(run.c.id == run_id))
    return None if row is None else _info(row)


def run_infos(tx: Tx, project_id: str, run_ids: Sequence[str]) -> list[RunInfo]:
    """Those of at most 500 runs that the project has, in the order in which they were asked for; deleted ones included."""
    asked = list(dict.fromkeys(run_ids))[:MAX_RUNS_AT_ONCE]
    found = {row.id: _info(row) for row in tx.all(_infos_by_id(project_id).where(run.c.id.in_(asked)).limit(MAX_RUNS_AT_ONCE))}
    return [found[run_id] for run_id in asked if run_id in found]


def run_detail(tx: Tx, project_id: str, run_id: str) -> RunDetail | None:
    """Everything that the page of a run shows, but for curves and artifacts."""
    info = run_info(tx, project_id, run_id)
    if info is None:
        return None
    rest = tx.one(
        select(run.c.error, run.c.environment, run.c.resources).where(run.c.project_id == project_id, run.c.id == run_id)
    )
    if rest is None:
        return None
    return RunDetail(
        run=info,
        error=rest.error,
        environment=None if rest.environment is None else msgspec.convert(rest.environment, Environment),
        resources=None if rest.resources is None else msgspec.convert(rest.resources, ResourceUse),
        metrics=metric_summaries(tx, project_id, run_id),
        params=params_of(tx, project_id, [run_id]).get(run_id, {}),
        tags=tags_of(tx, project_id, [run_id]).get(run_id, {}),
        inputs=inputs_of(tx, project_id, run_id),
        children=children_of(tx, project_id, run_id),
    )


def running_runs(tx: Tx, project_id: str, limit: int = 100) -> list[RunInfo]:
    alive = _infos(project_id).where(run.c.deleted_at.is_(None), run.c.status == "running")
    return [_info(row) for row in tx.all(alive.order_by(run.c.started.desc()).limit(limit))]


def children_of(tx: Tx, project_id: str, run_id: str, limit: int = 500) -> list[RunInfo]:
    nested = _infos(project_id).where(run.c.parent_run_id == run_id, run.c.deleted_at.is_(None))
    return [_info(row) for row in tx.all(nested.order_by(run.c.started, run.c.id).limit(limit))]


def params_of(tx: Tx, project_id: str, run_ids: Sequence[str], keys: Sequence[str] | None = None) -> dict[str, dict[str, str]]:
    """Params (or those in `keys`) of at most 500 runs, by run and key."""
    return _texts(tx, project_id, run_ids, param, keys)


def tags_of(tx: Tx, project_id: str, run_ids: Sequence[str], keys: Sequence[str] | None = None) -> dict[str, dict[str, str]]:
    """Tags (or those in `keys`) of at most 500 runs, by run and key."""
    return _texts(tx, project_id, run_ids, tag, keys)


def inputs_of(tx: Tx, project_id: str, run_id: str) -> list[DatasetInput]:
    columns = [run_input.c[name] for name in DatasetInput.__struct_fields__]
    mine = (run_input.c.run_id == run_id) & (run.c.id == run_id) & (run.c.project_id == project_id)
    found = tx.all(
        select(*columns).select_from(run_input).join(run, mine).order_by(run_input.c.created, run_input.c.name).limit(1000)
    )
    return [DatasetInput(**row._asdict()) for row in found]


def known_keys(tx: Tx, project_id: str, table_name: str, limit: int = 500) -> list[str]:
    """Keys of "param" or "tag" that the newest 200 runs of the project use, for pickers of columns."""
    table = {"param": param, "tag": tag}[table_name]
    newest = select(run.c.id).where(run.c.project_id == project_id, run.c.deleted_at.is_(None))
    newest = newest.order_by(run.c.started.desc()).limit(200)
    found = tx.all(select(table.c.key).where(table.c.run_id.in_(newest)).distinct().order_by(table.c.key).limit(limit))
    return [row.key for row in found]


def _texts(tx: Tx, project_id: str, run_ids: Sequence[str], table: Any, keys: Sequence[str] | None) -> dict[str, dict[str, str]]:
    asked = list(run_ids)[:MAX_RUNS_AT_ONCE]
    if not asked or (keys is not None and not keys):
        return {}
    statement = select(table.c.run_id, table.c.key, table.c.value).join(run, run.c.id == table.c.run_id)
    statement = statement.where(table.c.run_id.in_(asked), opaque(run.c.project_id == project_id))
    if keys is not None:
        statement = statement.where(table.c.key.in_(list(keys)))
    found = tx.all(statement.order_by(table.c.run_id, table.c.key).limit(MAX_KEYS_PER_RUN * len(asked)))
    by_run: dict[str, dict[str, str]] = {}
    for row in found:
        by_run.setdefault(row.run_id, {})[row.key] = row.value
    return by_run


def _infos_by_id(project_id: str) -> Select[Any]:
    """For a statement that names ids: SQLite would else read the whole project along an index."""
    joined = run.join(experiment, experiment.c.id == run.c.experiment_id)
    return select(*_INFO).select_from(joined).where(opaque(run.c.project_id == project_id))


def _infos(project_id: str) -> Select[Any]:
    joined = run.join(experiment, experiment.c.id == run.c.experiment_id)
    return select(*_INFO).select_from(joined).where(run.c.project_id == project_id)


def _info(row: Row) -> RunInfo:
    values: Mapping[str, Any] = row._asdict()
    return RunInfo(**{name: values[name] for name in _FIELDS}, deleted=values["deleted_at"] is not None)
