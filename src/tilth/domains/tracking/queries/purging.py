"""Deleting for good: which runs and experiments lie in the trash long enough, and the slices in which their rows go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, tuple_

from tilth.backends.sql import Row, Tx
from tilth.core.clock import Millis
from tilth.domains.tracking.tables import (
    artifact,
    experiment,
    experiment_tag,
    metric_last,
    metric_point,
    param,
    purged_run,
    run,
    run_input,
    run_model,
    run_writer,
    tag,
)

_ROWS: tuple[Table, ...] = (metric_point, metric_last, param, tag, run_input, run_model, run_writer)
"""What a run owns besides its own row and its artifacts, whose bytes must be released one by one."""


def deleted_runs(tx: Tx, project_id: str, before: Millis, *, ids: Sequence[str] | None = None, limit: int = 1000) -> list[Row]:
    """id, name, deleted_at of runs deleted before the moment, longest deleted first."""
    wanted: list[Any] = [run.c.project_id == project_id, run.c.deleted_at < before]
    if ids is not None:
        wanted.append(run.c.id.in_(list(ids)))
    columns = (run.c.id, run.c.name, run.c.deleted_at)
    return tx.all(select(*columns).where(*wanted).order_by(run.c.deleted_at, run.c.id).limit(limit))


def deleted_experiments(
    tx: Tx, project_id: str, before: Millis, *, ids: Sequence[str] | None = None, limit: int = 1000
) -> list[Row]:
    """id, name, deleted_at."""
    wanted: list[Any] = [experiment.c.project_id == project_id, experiment.c.deleted_at < before]
    if ids is not None:
        wanted.append(experiment.c.id.in_(list(ids)))
    columns = (experiment.c.id, experiment.c.name, experiment.c.deleted_at)
    return tx.all(select(*columns).where(*wanted).order_by(experiment.c.deleted_at, experiment.c.id).limit(limit))


def projects_with_trash_across_projects(tx: Tx, before: Millis) -> list[str]:
    """Projects with runs or experiments that were deleted before the moment; at most 10,000."""
    runs = select(run.c.project_id).where(run.c.deleted_at < before)
    experiments = select(experiment.c.project_id).where(experiment.c.deleted_at < before)
    both = runs.union(experiments).subquery()
    return [row.project_id for row in tx.all(select(both.c.project_id).order_by(both.c.project_id).limit(10_000))]


def runs_of_experiment(tx: Tx, project_id: str, experiment_id: str, limit: int) -> list[str]:
    """Ids, deleted or not."""
    mine = select(run.c.id).where(run.c.project_id == project_id, run.c.experiment_id == experiment_id)
    return [row.id for row in tx.all(mine.order_by(run.c.id).limit(limit))]


def take_out(tx: Tx, project_id: str, run_ids: Sequence[str], at: Millis) -> None:
    """The rows of the runs themselves go; the rest of them is noted for removal."""
    tx.many(insert(purged_run), [{"run_id": id_, "project_id": project_id, "purged": at} for id_ in run_ids])
    tx.run(delete(run).where(run.c.project_id == project_id, run.c.id.in_(list(run_ids))))


def delete_experiment_row(tx: Tx, project_id: str, experiment_id: str) -> None:
    tx.run(delete(experiment_tag).where(experiment_tag.c.experiment_id == experiment_id))
    tx.run(delete(experiment).where(experiment.c.project_id == project_id, experiment.c.id == experiment_id))


def is_purged(tx: Tx, run_id: str) -> bool:
    """Whether rows of a purged run of this id still wait for their removal."""
    return tx.one(select(purged_run.c.run_id).where(purged_run.c.run_id == run_id)) is not None


def waiting_across_projects(tx: Tx, limit: int) -> list[Row]:
    """run_id, project_id of purged runs whose rows are not all removed."""
    return tx.all(select(purged_run.c.run_id, purged_run.c.project_id).order_by(purged_run.c.run_id).limit(limit))


def waiting_of(tx: Tx, project_id: str) -> int:
    return int(tx.scalar(select(func.count()).select_from(purged_run).where(purged_run.c.project_id == project_id)))


def forget_purged(tx: Tx, project_id: str, run_id: str) -> None:
    tx.run(delete(purged_run).where(purged_run.c.project_id == project_id, purged_run.c.run_id == run_id))


def remove_rows(tx: Tx, run_id: str, at_most: int, tables: Sequence[Table] = _ROWS) -> int:
    """Rows of one run that went: at most so many, so that the writer is not held for long. The caller knows the run's project."""
    left = at_most
    for table in tables:
        if left <= 0:
            break
        keys = list(table.primary_key.columns)
        some = select(*keys).where(table.c.run_id == run_id).limit(left)
        left -= tx.run(delete(table).where(tuple_(*keys).in_(some)))
    return at_most - left


def remove_points(tx: Tx, run_id: str, at_most: int) -> int:
    """Metric points alone; their summaries stay."""
    return remove_rows(tx, run_id, at_most, (metric_point,))


def artifacts_of_run(tx: Tx, project_id: str, run_id: str, limit: int) -> list[Row]:
    """path, digest, size."""
    mine = select(artifact.c.path, artifact.c.digest, artifact.c.size)
    mine = mine.where(artifact.c.project_id == project_id, artifact.c.run_id == run_id)
    return tx.all(mine.order_by(artifact.c.path).limit(limit))


def remove_artifacts(tx: Tx, project_id: str, run_id: str, paths: Sequence[str]) -> None:
    mine = (artifact.c.project_id == project_id) & (artifact.c.run_id == run_id)
    tx.run(delete(artifact).where(mine, artifact.c.path.in_(list(paths))))
