"""Deleting for good what lies in the trash. First the run itself goes, then, in slices, everything that it wrote.

So a purged run is unknown from one moment to the next: nobody reads half of it, and what still writes to it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.comments.actions import forget_comments
from tilth.domains.tracking.actions.retention import SLICE_ARTIFACTS, SLICE_ROWS, release_artifacts
from tilth.domains.tracking.queries import care, experiment_row, purging

PURGED_AT_ONCE = 200


def purge_runs(tx: Tx, actor: Actor, project_id: ProjectId, before: Millis, *, ids: Sequence[str] | None = None) -> list[str]:
    """Takes out at most PURGED_AT_ONCE runs that were deleted before the moment. Returns their ids; none: there are no more."""
    found = [row.id for row in purging.deleted_runs(tx, project_id, before, ids=ids, limit=PURGED_AT_ONCE)]
    # Locked and looked at again: another process may restore or purge the same runs.
    held = care.run_states(tx, project_id, found, lock=True)
    doomed = [row.id for row in held if row.deleted_at is not None and row.deleted_at < before]
    _take_out(tx, actor, project_id, doomed)
    return doomed


def purge_experiment(tx: Tx, actor: Actor, project_id: ProjectId, experiment_id: str, before: Millis) -> bool:
    """Takes out some runs of an experiment that was deleted before the moment, and at last the experiment. Returns whether it is gone.

    An experiment that was restored meanwhile keeps the runs that it still has.
    """
    row = experiment_row(tx, project_id, id=experiment_id)
    if row is None or row.deleted_at is None or row.deleted_at >= before:
        return True
    runs = purging.runs_of_experiment(tx, project_id, experiment_id, PURGED_AT_ONCE)
    _take_out(tx, actor, project_id, [held.id for held in care.run_states(tx, project_id, runs, lock=True)])
    if len(runs) == PURGED_AT_ONCE:
        return False
    purging.delete_experiment_row(tx, project_id, experiment_id)
    record(tx, actor, "experiment.purged", project_id=project_id, thing=experiment_id, detail={"name": row.name})
    return True


def remove_leftovers(tx: Tx, project_id: ProjectId, run_id: str) -> bool:
    """One slice of what a purged run wrote. Returns whether all of it is gone now."""
    # A batch of the same write group may still wait to be written.
    tx.flush()
    if release_artifacts(tx, project_id, run_id, SLICE_ARTIFACTS) == SLICE_ARTIFACTS:
        return False
    if purging.remove_rows(tx, run_id, SLICE_ROWS) == SLICE_ROWS:
        return False
    purging.forget_purged(tx, project_id, run_id)
    return True


def _take_out(tx: Tx, actor: Actor, project_id: ProjectId, run_ids: list[str]) -> None:
    if not run_ids:
        return
    purging.take_out(tx, project_id, run_ids, now())
    forget_comments(tx, project_id, "run", run_ids)
    thing = run_ids[0] if len(run_ids) == 1 else f"{len(run_ids)} runs"
    record(tx, actor, "run.purged", project_id=project_id, thing=thing, detail={"count": len(run_ids), "runs": run_ids})
    tx.announce("runs")
    tx.announce("trash")
