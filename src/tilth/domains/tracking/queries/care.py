"""Many runs at once: which ones a filter names, what state they are in, and the statements that change them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select, update

from tilth.backends.sql import Row, Tx
from tilth.domains.tracking.queries.filters import conditions_sql
from tilth.domains.tracking.rules.filters import Condition
from tilth.domains.tracking.tables import (
    artifact,
    experiment,
    metric_last,
    metric_point,
    param,
    retention_rule,
    run,
    run_input,
    tag,
)

MAX_RULES = 100
_CARRIERS = (metric_last, param, tag, run_input)
"""Tables that repeat the experiment of their run."""


def run_ids(
    tx: Tx,
    project_id: str,
    *,
    terms: Sequence[Condition],
    experiment_id: str | None = None,
    deleted: bool = False,
    archived: bool | None = None,
    ended_before: int | None = None,
    after: str = "",
    limit: int,
) -> list[str]:
    """Ids of the runs that meet every term, in order of ids. archived None: both kinds. ended_before: and not running any more."""
    wanted: list[Any] = [run.c.project_id == project_id, run.c.deleted_at.is_not(None) if deleted else run.c.deleted_at.is_(None)]
    if experiment_id is not None:
        wanted.append(run.c.experiment_id == experiment_id)
    if archived is not None:
        wanted.append(run.c.archived.is_not(None) if archived else run.c.archived.is_(None))
    if ended_before is not None:
        ended = func.coalesce(run.c.ended, run.c.started)
        wanted += [run.c.status.not_in(("running", "scheduled")), ended < ended_before]
    if after:
        wanted.append(run.c.id > after)
    wanted += conditions_sql(terms)
    return [row.id for row in tx.all(select(run.c.id).where(*wanted).order_by(run.c.id).limit(limit))]


def run_states(tx: Tx, project_id: str, run_ids: Sequence[str], *, lock: bool = False) -> list[Row]:
    """id, experiment_id, experiment_serial, status, archived, deleted_at, started of at most 1,000 runs.

    lock: hold them until the transaction ends.
    """
    columns = [run.c[name] for name in ("id", "experiment_id", "status", "archived", "deleted_at", "started")]
    joined = select(*columns, experiment.c.serial.label("experiment_serial")).join_from(
        run, experiment, experiment.c.id == run.c.experiment_id
    )
    mine = joined.where(run.c.project_id == project_id, run.c.id.in_(list(run_ids))).order_by(run.c.id).limit(1000)
    return tx.all(mine.with_for_update(of=run) if lock else mine)


def change_runs(tx: Tx, project_id: str, run_ids: Sequence[str], changes: dict[str, Any]) -> None:
    tx.run(update(run).where(run.c.project_id == project_id, run.c.id.in_(list(run_ids))).values(**changes))


def move_runs(tx: Tx, project_id: str, run_ids: Sequence[str], experiment_id: str) -> None:
    """Takes the rows that repeat the experiment along."""
    tx.flush()
    change_runs(tx, project_id, run_ids, {"experiment_id": experiment_id})
    serial = select(experiment.c.serial).where(experiment.c.project_id == project_id, experiment.c.id == experiment_id)
    for table in _CARRIERS:
        tx.run(update(table).where(table.c.run_id.in_(list(run_ids))).values(experiment_serial=serial.scalar_subquery()))


def insert_rule(tx: Tx, project_id: str, row: dict[str, Any]) -> None:
    tx.run(retention_rule.insert().values(project_id=project_id, **row))


def delete_rule(tx: Tx, project_id: str, rule_id: str) -> bool:
    mine = (retention_rule.c.project_id == project_id) & (retention_rule.c.id == rule_id)
    return tx.run(delete(retention_rule).where(mine)) > 0


def rules_of(tx: Tx, project_id: str) -> list[Row]:
    """At most 100, oldest first."""
    columns = [column for column in retention_rule.c if column.name != "project_id"]
    mine = select(*columns).where(retention_rule.c.project_id == project_id)
    return tx.all(mine.order_by(retention_rule.c.id).limit(MAX_RULES))


def projects_with_rules_across_projects(tx: Tx) -> list[str]:
    """At most 10,000."""
    return [
        row.project_id
        for row in tx.all(select(retention_rule.c.project_id).distinct().order_by(retention_rule.c.project_id).limit(10_000))
    ]


def artifact_sizes(tx: Tx, project_id: str, run_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Artifacts and bytes of those of the runs that have any; at most 1,000 runs."""
    found = tx.all(
        select(artifact.c.run_id, func.count().label("files"), func.sum(artifact.c.size).label("bytes"))
        .where(artifact.c.project_id == project_id, artifact.c.run_id.in_(list(run_ids)))
        .group_by(artifact.c.run_id)
        .limit(1000)
    )
    return {row.run_id: (int(row.files), int(row.bytes)) for row in found}


def runs_with_points(tx: Tx, project_id: str, run_ids: Sequence[str]) -> list[str]:
    """Those of at most 1,000 runs that still have metric points."""
    any_point = select(metric_point.c.run_id).where(metric_point.c.run_id == run.c.id).exists()
    mine = select(run.c.id).where(run.c.project_id == project_id, run.c.id.in_(list(run_ids)), any_point)
    return [row.id for row in tx.all(mine.order_by(run.c.id).limit(1000))]


def logged_counts(tx: Tx, project_id: str, run_ids: Sequence[str]) -> dict[str, int]:
    """Points that were logged to each of at most 1,000 runs, from the summaries."""
    found = tx.all(
        select(metric_last.c.run_id, func.sum(metric_last.c.count).label("points"))
        .join(run, run.c.id == metric_last.c.run_id)
        .where(run.c.project_id == project_id, metric_last.c.run_id.in_(list(run_ids)))
        .group_by(metric_last.c.run_id)
        .limit(1000)
    )
    return {row.run_id: int(row.points) for row in found}
