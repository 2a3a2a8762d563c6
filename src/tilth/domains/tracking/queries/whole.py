"""Whole runs, with everything that was logged but curves and artifacts: as MLflow's protocol hands them out, one or thousands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, bindparam, select

from tilth.backends.sql import Hot, Row, Tx, hot
from tilth.domains.tracking.queries.filters import opaque
from tilth.domains.tracking.tables import experiment, metric_last, param, run, run_input, run_model, tag

CHUNK = 500
MAX_KEYS = 20_000
"""Of one run, of each kind."""

_RUN = [
    run.c.id,
    run.c.name,
    run.c.status,
    run.c.parent_run_id,
    run.c.started,
    run.c.ended,
    run.c.user_name,
    run.c.source,
    run.c.notes,
    run.c.deleted_at,
    experiment.c.number,
]
_KINDS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "metrics": (
        metric_last,
        [metric_last.c[name] for name in ("run_id", "key", "value", "step", "ts")],
        [metric_last.c.run_id, metric_last.c.key],
    ),
    "params": (param, [param.c.run_id, param.c.key, param.c.value], [param.c.run_id, param.c.key]),
    "tags": (tag, [tag.c.run_id, tag.c.key, tag.c.value], [tag.c.run_id, tag.c.key]),
    "inputs": (
        run_input,
        [
            run_input.c[name]
            for name in ("run_id", "name", "digest", "context", "source_type", "source", "schema", "profile", "tags")
        ],
        [run_input.c.run_id, run_input.c.created, run_input.c.name],
    ),
    "models": (
        run_model,
        [run_model.c[name] for name in ("run_id", "model_id", "direction", "step")],
        [run_model.c.run_id, run_model.c.created, run_model.c.model_id],
    ),
}


@dataclass(slots=True)
class WholeRun:
    """run: id, name, status, parent_run_id, started, ended, user_name, source, notes, deleted_at, and `number` of its experiment.

    metrics: key, value (None is NaN), step, ts of the latest points. inputs: data sets that it read. models: those that it read
    (direction `input`) or made (`output`).
    """

    run: Row
    metrics: list[Row] = field(default_factory=list)
    params: list[Row] = field(default_factory=list)
    tags: list[Row] = field(default_factory=list)
    inputs: list[Row] = field(default_factory=list)
    models: list[Row] = field(default_factory=list)


def _of_project(project_id: Any) -> Select[Any]:
    joined = run.join(experiment, experiment.c.id == run.c.experiment_id)
    # Ids are named beside it: SQLite would else read the whole project along an index.
    return select(*_RUN).select_from(joined).where(opaque(run.c.project_id == project_id))


_ONE_RUN: Hot = hot(_of_project(bindparam("project_id")).where(run.c.id == bindparam("run_id")))
_OF_ONE: dict[str, Hot] = {
    kind: hot(select(*columns).where(table.c.run_id == bindparam("run_id")).order_by(*order).limit(MAX_KEYS))
    for kind, (table, columns, order) in _KINDS.items()
}


def whole_run(tx: Tx, project_id: str, run_id: str) -> WholeRun | None:
    """One run, also a deleted one. Six statements by primary keys."""
    row = tx.one(_ONE_RUN, project_id=project_id, run_id=run_id)
    if row is None:
        return None
    return WholeRun(row, **{kind: tx.all(statement, run_id=run_id) for kind, statement in _OF_ONE.items()})


def run_with_experiment(tx: Tx, project_id: str, run_id: str) -> Row | None:
    """The run's own row, as in `WholeRun.run`."""
    return tx.one(_ONE_RUN, project_id=project_id, run_id=run_id)


def whole_runs(tx: Tx, project_id: str, run_ids: Sequence[str]) -> list[WholeRun]:
    """The named runs in the order of their ids in `run_ids`, those of other projects left out. Six statements for every 500."""
    found: list[WholeRun] = []
    for ids in _chunks(run_ids):
        rows = tx.all(_of_project(project_id).where(run.c.id.in_(ids)).limit(CHUNK))
        by_id = {row.id: WholeRun(row) for row in rows}
        for kind, (table, columns, order) in _KINDS.items():
            for row in tx.all(select(*columns).where(table.c.run_id.in_(list(by_id))).order_by(*order).limit(CHUNK * MAX_KEYS)):
                getattr(by_id[row.run_id], kind).append(row)
        found += [by_id[run_id] for run_id in ids if run_id in by_id]
    return found


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), CHUNK):
        yield list(ids[start : start + CHUNK])


def keys_of(rows: Iterable[Row]) -> dict[str, str]:
    """Params or tags as a mapping."""
    return {row.key: row.value for row in rows}
