"""Runs: started, written to, changed, deleted, restored, and found lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import UNSET

from tilth.backends.sql import Row, Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_name
from tilth.domains.audit.actions import record
from tilth.domains.tracking.actions.experiments import experiment_for_run
from tilth.domains.tracking.queries import changes, hot, purging
from tilth.domains.tracking.rules.batches import check_moment, check_params, check_tags
from tilth.domains.tracking.rules.names import invented_name
from tilth.domains.tracking.types import (
    ENDED,
    InvalidBatch,
    ParamChanged,
    RunDeleted,
    RunEnded,
    RunIdTaken,
    RunIsItsOwnAncestor,
    UnknownRun,
    ValueTooLong,
    is_run_id,
)
from tilth.wire.tracking import MAX_ERROR_CHARS, MAX_NOTES_CHARS, LogBatch, RunCreate, RunUpdate, to_builtins

MAX_SOURCE_CHARS = 2000


def create_run(tx: Tx, actor: Actor, project_id: ProjectId, wanted: RunCreate) -> str:
    """Returns the id. A repeated request with the same chosen id makes one run. What a run's token starts stands below that run.

    Raises InvalidBatch, InvalidName, RunIdTaken, UnknownExperiment, ExperimentDeleted, UnknownRun (the parent).
    """
    run_id = wanted.id or new_id()
    if wanted.id is not None and _is_repeated(tx, actor, project_id, wanted.id):
        return run_id
    parent_run_id = wanted.parent_run_id or tx.confined_to
    parent = _parent(tx, project_id, run_id, parent_run_id)
    check_params(wanted.params)
    check_tags(wanted.tags)
    _check_length("source", wanted.source, MAX_SOURCE_CHARS)
    _check_length("notes", wanted.notes, MAX_NOTES_CHARS)
    moment = now()
    row = {
        "id": run_id,
        "experiment_id": experiment_for_run(tx, actor, project_id, id=_experiment_id(wanted, parent), name=wanted.experiment),
        "name": invented_name(run_id) if wanted.name is None else check_name(wanted.name, "run"),
        "status": wanted.status,
        "parent_run_id": parent_run_id,
        "started": moment if wanted.started is None else check_moment("started", wanted.started),
        "ended": None,
        "user_id": actor.id,
        "user_name": actor.name,
        "source": wanted.source,
        "notes": wanted.notes,
        "error": "",
        "environment": None if wanted.environment is None else to_builtins(wanted.environment),
        "resources": None,
        "last_heartbeat": None,
        "created": moment,
        "deleted_at": None,
    }
    changes.insert_run(tx, project_id, row)
    _write_texts(tx, _alive(tx, project_id, run_id), wanted.params, dict(wanted.tags))
    return run_id


def log(tx: Tx, project_id: ProjectId, run_id: str, batch: LogBatch, at: Millis, *, once: bool = False) -> None:
    """Writes a checked batch (rules.batches.check_batch), all of it or nothing. at: moment of points that bring none.

    once: points that are there already are left out.

    Raises UnknownRun, RunDeleted, ParamChanged.
    """
    head = _alive(tx, project_id, run_id)
    if batch.writer and not hot.is_new_batch(tx, run_id, batch.writer, batch.number):
        return
    if head.status == "lost":
        hot.revive(tx, project_id, run_id, at)
    if batch.metrics:
        hot.add_points(tx, head, batch.metrics, at, once=once)
    if batch.params or batch.tags:
        _write_texts(tx, head, batch.params, batch.tags)
    if batch.inputs:
        hot.add_inputs(tx, head, batch.inputs, at)


def link_models(
    tx: Tx,
    project_id: ProjectId,
    run_id: str,
    direction: Literal["input", "output"],
    models: Sequence[tuple[str, int]],
    at: Millis,
) -> None:
    """Notes which logged models a run read or made, each with a step. Raises UnknownRun, RunDeleted."""
    _alive(tx, project_id, run_id)
    hot.add_models(tx, run_id, direction, models, at)


def remove_tag(tx: Tx, project_id: ProjectId, run_id: str, key: str) -> bool:
    """Whether the tag was there. Raises UnknownRun, RunDeleted."""
    _alive(tx, project_id, run_id)
    return hot.remove_tag(tx, run_id, key)


def heartbeat(tx: Tx, project_id: ProjectId, run_id: str, at: Millis) -> None:
    """The run's process lives. Raises UnknownRun, RunDeleted."""
    head = _alive(tx, project_id, run_id)
    if head.status == "lost":
        hot.revive(tx, project_id, run_id, at)
    else:
        hot.beat(tx, project_id, run_id, at)


def update_run(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str, update: RunUpdate) -> None:
    """Changes what is given. An end status without a moment ends now; `running` takes the end away.

    Raises UnknownRun (also of the parent), RunDeleted, InvalidName, ValueTooLong, RunIsItsOwnAncestor.
    """
    head = _alive(tx, project_id, run_id)
    values: dict[str, Any] = {}
    if update.name is not UNSET:
        values["name"] = check_name(update.name, "run")
    if update.parent_run_id is not UNSET:
        values["parent_run_id"] = _new_parent(tx, project_id, run_id, update.parent_run_id)
    if update.notes is not UNSET:
        values["notes"] = _check_length("notes", update.notes, MAX_NOTES_CHARS)
    if update.error is not UNSET:
        # The end of a traceback says what went wrong; its middle is the least telling part.
        values["error"] = update.error[-MAX_ERROR_CHARS:].replace("\0", "")
    if update.environment is not UNSET:
        values["environment"] = to_builtins(update.environment)
    if update.resources is not UNSET:
        values["resources"] = to_builtins(update.resources)
    values |= _status_values(update)
    if values:
        changes.change_run(tx, project_id, run_id, values)
        tx.announce("runs")
    if values.get("status") in ENDED and head.status not in ENDED:
        outbox.add(tx, RunEnded(project_id, head.experiment_id, run_id, values["status"]))
    if actor.kind != "run":
        _record_edits(tx, actor, project_id, run_id, values)


def delete_run(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str) -> None:
    """Hides the run; what it logged stays until it is purged. Raises UnknownRun, RunDeleted."""
    _alive(tx, project_id, run_id)
    changes.change_run(tx, project_id, run_id, {"deleted_at": now()})
    record(tx, actor, "run.deleted", project_id=project_id, thing=run_id)


def restore_run(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str) -> None:
    """Raises UnknownRun. A run that is not deleted stays as it is."""
    head = hot.run_head(tx, project_id, run_id)
    if head is None:
        raise UnknownRun(run_id)
    if head.deleted_at is not None:
        changes.change_run(tx, project_id, run_id, {"deleted_at": None})
        record(tx, actor, "run.restored", project_id=project_id, thing=run_id)


def mark_lost(tx: Tx, before: Millis) -> int:
    """Running runs whose last heartbeat is older than `before` become lost, ended at that heartbeat. Returns how many."""
    silent = changes.silent_runs_across_projects(tx, before)
    for row in silent:
        reason = "the run's process stopped sending heartbeats: it was killed, lost its network, or its machine went away"
        values = {"status": "lost", "ended": row.last_heartbeat, "error": reason}
        changes.change_run(tx, row.project_id, row.id, values)
        outbox.add(tx, RunEnded(row.project_id, row.experiment_id, row.id, "lost"))
    if silent:
        tx.announce("runs")
    return len(silent)


def _alive(tx: Tx, project_id: ProjectId, run_id: str) -> Row:
    head = hot.head_to_write(tx, project_id, run_id)
    if head is None:
        raise UnknownRun(run_id)
    if head.deleted_at is not None:
        raise RunDeleted(run_id)
    return head


def _write_texts(tx: Tx, head: Row, params: dict[str, str], tags: dict[str, str | None]) -> None:
    for key, value in params.items():
        standing = hot.add_param(tx, head, key, value)
        if standing is not None and standing != value:
            raise ParamChanged(key, head.id, standing, value)
    if tags:
        hot.set_tags(tx, head, tags)


def _is_repeated(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str) -> bool:
    if not is_run_id(run_id):
        raise InvalidBatch(f"run id {run_id[:80]!r} is not 32 hexadecimal digits; leave `id` out to get one")
    owner = changes.run_owner_across_projects(tx, run_id)
    if owner is None:
        if purging.is_purged(tx, run_id):
            # Rows of the run that had this id are still being removed, and would take those of a new one along.
            raise RunIdTaken(run_id)
        return False
    if owner.project_id != project_id or owner.user_id != actor.id or owner.deleted_at is not None:
        raise RunIdTaken(run_id)
    return True


def _parent(tx: Tx, project_id: ProjectId, run_id: str, parent_run_id: str | None) -> Row | None:
    """The run named as parent, None if none is."""
    if parent_run_id is None:
        return None
    if parent_run_id == run_id:
        raise RunIsItsOwnAncestor(run_id)
    return _alive(tx, project_id, parent_run_id)


def _new_parent(tx: Tx, project_id: ProjectId, run_id: str, parent_run_id: str) -> str:
    _alive(tx, project_id, parent_run_id)
    if hot.has_ancestor(tx, project_id, parent_run_id, run_id):
        raise RunIsItsOwnAncestor(run_id)
    return parent_run_id


def _experiment_id(wanted: RunCreate, parent: Row | None) -> str | None:
    """A child that names no experiment stands beside its parent."""
    if wanted.experiment_id is None and wanted.experiment is None and parent is not None:
        return str(parent.experiment_id)
    return wanted.experiment_id


def _check_length(what: str, text: str, most: int) -> str:
    if len(text) > most:
        raise ValueTooLong(what, len(text), most)
    return text


def _status_values(update: RunUpdate) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if update.ended is not UNSET:
        values["ended"] = check_moment("ended", update.ended)
    if update.status is UNSET:
        return values
    values["status"] = update.status
    if update.status in ENDED:
        values.setdefault("ended", now())
    else:
        values["ended"] = None
        # A heartbeat of long ago must not make a resumed run lost at once.
        values["last_heartbeat"] = None
        values.setdefault("error", "")
    return values


def _record_edits(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str, values: dict[str, Any]) -> None:
    if "name" in values:
        record(tx, actor, "run.renamed", project_id=project_id, thing=run_id, detail={"to": values["name"]})
    if "notes" in values:
        record(tx, actor, "run.annotated", project_id=project_id, thing=run_id, detail={"characters": len(values["notes"])})
