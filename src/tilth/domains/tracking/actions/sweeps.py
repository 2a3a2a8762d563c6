"""What people do to a sweep that a program runs."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.tracking.queries import hot, sweeps
from tilth.domains.tracking.types import RunDeleted, SweepIsOver, UnknownSweep
from tilth.wire.sweeps import STOP_TAG, SweepView


def stop_sweep(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str) -> SweepView:
    """Leaves a wish that the program obeys within seconds. Raises UnknownSweep, RunDeleted, SweepIsOver."""
    found = sweeps.sweep_view(tx, project_id, run_id)
    head = hot.head_to_write(tx, project_id, run_id)
    if head is None:
        raise UnknownSweep(run_id)
    if head.deleted_at is not None:
        raise RunDeleted(run_id)
    if found.state != "running":
        raise SweepIsOver(run_id, found.state)
    hot.set_tags(tx, head, {STOP_TAG: actor.name})
    tx.announce("runs")
    record(tx, actor, "sweep.stopped", project_id=project_id, thing=run_id)
    return sweeps.sweep_view(tx, project_id, run_id)
