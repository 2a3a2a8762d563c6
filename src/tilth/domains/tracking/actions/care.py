"""Changes to many runs at once, and putting runs out of sight. Each call is one transaction: all of its runs or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tilth.backends.sql import Row, Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.tracking.actions.experiments import experiment_for_run
from tilth.domains.tracking.queries import care, experiment_row, hot
from tilth.domains.tracking.rules.batches import check_tags
from tilth.domains.tracking.types import RunDeleted, UnknownExperiment, UnknownRun
from tilth.wire.care import BulkDo, BulkRuns

CHUNK_RUNS = {"move": 50, "tag": 200}
DEFAULT_CHUNK_RUNS = 500
"""Runs of one transaction: so many that it ends within 50 ms."""
_DONE: dict[BulkDo, str] = {
    "archive": "run.archived",
    "unarchive": "run.unarchived",
    "delete": "run.deleted",
    "restore": "run.restored",
    "tag": "run.tagged",
    "move": "run.moved",
}


def archive_run(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str) -> None:
    """Out of sight, and complete. Raises UnknownRun, RunDeleted. An archived run stays as it is."""
    change_many(tx, actor, project_id, [run_id], BulkRuns(do="archive"))


def unarchive_run(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str) -> None:
    """Raises UnknownRun, RunDeleted."""
    change_many(tx, actor, project_id, [run_id], BulkRuns(do="unarchive"))


def check_bulk(tx: Tx, project_id: ProjectId, wanted: BulkRuns) -> None:
    """What can be said before any run changes. Raises InvalidName, ValueTooLong, UnknownExperiment."""
    check_tags({key: value or "" for key, value in wanted.tags.items()})
    if wanted.do == "move" and experiment_row(tx, project_id, name=wanted.to) is None:
        raise UnknownExperiment(wanted.to)


def chunk_runs(do: BulkDo) -> int:
    return CHUNK_RUNS.get(do, DEFAULT_CHUNK_RUNS)


def change_many(tx: Tx, actor: Actor, project_id: ProjectId, run_ids: Sequence[str], wanted: BulkRuns) -> list[str]:
    """Does it to the runs, at most `chunk_runs`, and returns the ids of those that it changed; the others were so already.

    Raises UnknownRun, RunDeleted (only `delete` and `restore` touch a deleted run), UnknownExperiment, ExperimentDeleted.
    """
    states = care.run_states(tx, project_id, run_ids, lock=True)
    known = {row.id for row in states}
    for run_id in run_ids:
        if run_id not in known:
            raise UnknownRun(run_id)
    changed = _CHANGES[wanted.do](tx, actor, project_id, states, wanted)
    if changed:
        thing = changed[0] if len(changed) == 1 else f"{len(changed)} runs"
        detail = {"count": len(changed), "runs": changed, **_said(wanted)}
        record(tx, actor, _DONE[wanted.do], project_id=project_id, thing=thing, detail=detail)
        tx.announce("runs")
    return changed


def _archive(tx: Tx, actor: Actor, project_id: ProjectId, states: Sequence[Row], wanted: BulkRuns) -> list[str]:
    _refuse_deleted(states)
    archived = wanted.do == "archive"
    ids = [row.id for row in states if (row.archived is not None) != archived]
    care.change_runs(tx, project_id, ids, {"archived": now() if archived else None})
    return ids


def _delete(tx: Tx, actor: Actor, project_id: ProjectId, states: Sequence[Row], wanted: BulkRuns) -> list[str]:
    ids = [row.id for row in states if row.deleted_at is None]
    care.change_runs(tx, project_id, ids, {"deleted_at": now()})
    return ids


def _restore(tx: Tx, actor: Actor, project_id: ProjectId, states: Sequence[Row], wanted: BulkRuns) -> list[str]:
    ids = [row.id for row in states if row.deleted_at is not None]
    care.change_runs(tx, project_id, ids, {"deleted_at": None})
    return ids


def _tag(tx: Tx, actor: Actor, project_id: ProjectId, states: Sequence[Row], wanted: BulkRuns) -> list[str]:
    _refuse_deleted(states)
    for row in states:
        hot.set_tags(tx, row, wanted.tags)
    return [row.id for row in states]


def _move(tx: Tx, actor: Actor, project_id: ProjectId, states: Sequence[Row], wanted: BulkRuns) -> list[str]:
    _refuse_deleted(states)
    to = experiment_for_run(tx, actor, project_id, id=None, name=wanted.to)
    ids = [row.id for row in states if row.experiment_id != to]
    care.move_runs(tx, project_id, ids, to)
    return ids


_CHANGES: dict[BulkDo, Callable[[Tx, Actor, ProjectId, Sequence[Row], BulkRuns], list[str]]] = {
    "archive": _archive,
    "unarchive": _archive,
    "delete": _delete,
    "restore": _restore,
    "tag": _tag,
    "move": _move,
}


def _refuse_deleted(states: Sequence[Row]) -> None:
    for row in states:
        if row.deleted_at is not None:
            raise RunDeleted(row.id)


def _said(wanted: BulkRuns) -> dict[str, Any]:
    match wanted.do:
        case "tag":
            return {"tags": sorted(wanted.tags)}
        case "move":
            return {"to": wanted.to}
        case _:
            return {}
