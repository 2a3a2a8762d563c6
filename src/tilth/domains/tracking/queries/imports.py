"""What imported runs hold, for comparing it with where they came from; and rows that only an import writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from tilth.backends.sql import Row, Tx, upsert
from tilth.core.clock import Millis
from tilth.domains.tracking.tables import artifact, metric_last, param, purged_run, run, run_input, run_model, tag
from tilth.wire.imports import ImportedModel, RunTally

MAX_ARTIFACTS = 10_000


def owners_across_projects(tx: Tx, run_ids: Sequence[str]) -> dict[str, str]:
    """run id -> project, "" for a run that is still being purged. Run ids are one space, so they are looked for everywhere."""
    ids = list(run_ids)
    found = {
        row.id: row.project_id for row in tx.all(select(run.c.id, run.c.project_id).where(run.c.id.in_(ids)).limit(len(ids)))
    }
    gone = tx.all(select(purged_run.c.run_id).where(purged_run.c.run_id.in_(ids)).limit(len(ids)))
    return found | {row.run_id: "" for row in gone}


def add_models(tx: Tx, run_id: str, models: Sequence[ImportedModel], at: Millis) -> None:
    rows = [{"run_id": run_id, "model_id": m.id, "direction": m.direction, "step": m.step, "created": at} for m in models]
    tx.many(upsert(run_model, ["run_id", "model_id", "direction"]), rows)


def tallies(tx: Tx, project_id: str, run_ids: Sequence[str]) -> dict[str, RunTally]:
    """Those of at most 1,000 runs that are in the project."""
    ids = list(run_ids)[:1000]
    mine = tx.all(select(run.c.id, run.c.deleted_at).where(run.c.project_id == project_id, run.c.id.in_(ids)).limit(1000))
    here = [row.id for row in mine]
    counted = {table: _counts(tx, table, here) for table in (param, tag, run_input)}
    found = {
        row.id: RunTally(
            row.deleted_at is not None,
            counted[param].get(row.id, 0),
            counted[tag].get(row.id, 0),
            counted[run_input].get(row.id, 0),
            {},
            {},
        )
        for row in mine
    }
    for row in _rows(tx, metric_last, here, metric_last.c.key, metric_last.c.count, limit=1_000_000):
        found[row.run_id].points[row.key] = int(row[2])
    for row in _rows(tx, artifact, here, artifact.c.path, artifact.c.size, limit=1000 * MAX_ARTIFACTS):
        if len(found[row.run_id].artifacts) < MAX_ARTIFACTS:
            found[row.run_id].artifacts[row.path] = int(row.size)
    return found


def _counts(tx: Tx, table: Any, run_ids: list[str]) -> dict[str, int]:
    """run_ids: of one project."""
    counted = select(table.c.run_id, func.count().label("rows")).where(table.c.run_id.in_(run_ids)).group_by(table.c.run_id)
    return {row.run_id: int(row.rows) for row in tx.all(counted.limit(1000))}


def _rows(tx: Tx, table: Any, run_ids: list[str], *columns: Any, limit: int) -> list[Row]:
    """run_ids: of one project."""
    return tx.all(select(table.c.run_id, *columns).where(table.c.run_id.in_(run_ids)).limit(limit))
