"""Experiments with the counts of their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select

from tilth.backends.sql import Row, Tx
from tilth.domains.tracking.tables import experiment, experiment_tag, run
from tilth.wire.tracking import Experiment

MAX_EXPERIMENTS = 1000

_COLUMNS = [experiment.c[name] for name in ("id", "number", "name", "artifact_area", "created", "updated", "deleted_at")]


def experiment_row(tx: Tx, project_id: str, *, id: str | None = None, name: str | None = None) -> Row | None:
    """By id or by name, deleted ones included."""
    wanted = experiment.c.id == id if id is not None else experiment.c.name == name
    return tx.one(select(*_COLUMNS).where(experiment.c.project_id == project_id, wanted))


def experiments(tx: Tx, project_id: str, *, deleted: bool = False, limit: int = MAX_EXPERIMENTS) -> list[Experiment]:
    """Newest first, with the counts of their runs."""
    alive = experiment.c.deleted_at.is_not(None) if deleted else experiment.c.deleted_at.is_(None)
    found = tx.all(
        select(*_COLUMNS).where(experiment.c.project_id == project_id, alive).order_by(experiment.c.number.desc()).limit(limit)
    )
    return _with_counts(tx, project_id, found)


def experiment_detail(tx: Tx, project_id: str, experiment_id: str) -> Experiment | None:
    row = experiment_row(tx, project_id, id=experiment_id)
    return None if row is None else _with_counts(tx, project_id, [row])[0]


def _with_counts(tx: Tx, project_id: str, rows: Sequence[Row]) -> list[Experiment]:
    ids = [row.id for row in rows]
    running = func.sum(case((run.c.status == "running", 1), else_=0))
    counted = tx.all(
        select(run.c.experiment_id, func.count().label("runs"), running.label("running"))
        .where(run.c.project_id == project_id, run.c.experiment_id.in_(ids), run.c.deleted_at.is_(None))
        .group_by(run.c.experiment_id)
    )
    counts: dict[str, tuple[int, int]] = {row.experiment_id: (int(row.runs), int(row.running)) for row in counted}
    tags: dict[str, dict[str, str]] = {}
    columns: list[Any] = [experiment_tag.c.experiment_id, experiment_tag.c.key, experiment_tag.c.value]
    for row in tx.all(select(*columns).where(experiment_tag.c.experiment_id.in_(ids)).order_by(experiment_tag.c.key)):
        tags.setdefault(row.experiment_id, {})[row.key] = row.value
    return [
        Experiment(
            id=row.id,
            number=row.number,
            name=row.name,
            created=row.created,
            updated=row.updated,
            deleted=row.deleted_at is not None,
            tags=tags.get(row.id, {}),
            runs=counts.get(row.id, (0, 0))[0],
            running=counts.get(row.id, (0, 0))[1],
        )
        for row in rows
    ]
