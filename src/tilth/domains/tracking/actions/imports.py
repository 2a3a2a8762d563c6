"""Runs that come from elsewhere: with their own ids and times, each as a whole. Repeating an import changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import ProjectId
from tilth.core.names import check_name
from tilth.domains.audit.actions import record
from tilth.domains.tracking.actions.experiments import create_experiment, experiment_for_run
from tilth.domains.tracking.queries import changes, experiment_row, hot, imports
from tilth.domains.tracking.rules.batches import check_batch, check_inputs, check_moment, check_params, check_tags
from tilth.domains.tracking.types import BatchTooLarge, InvalidBatch, is_run_id
from tilth.wire.imports import MAX_IMPORT_POINTS, MAX_IMPORT_RUNS, ImportExperiment, ImportRun, ImportRuns, Landed
from tilth.wire.tracking import MAX_ERROR_CHARS, MAX_METRICS, MAX_NOTES_CHARS, LogBatch, MetricPoint, to_builtins

MAX_SOURCE_CHARS = 2000
MAX_USER_CHARS = 250
MAX_ROWS = 2000
"""Of one run, beside its points: what one short transaction can write."""


def check_import(wanted: ImportRuns) -> None:
    """Raises BatchTooLarge, InvalidBatch, InvalidName, ValueTooLong. Needs no database."""
    if len(wanted.runs) > MAX_IMPORT_RUNS:
        raise BatchTooLarge("runs", len(wanted.runs), MAX_IMPORT_RUNS)
    for run in wanted.runs:
        _check_run(run)


def import_experiment(tx: Tx, actor: Actor, project_id: ProjectId, wanted: ImportExperiment) -> None:
    """Makes it unless one of the name is there. Raises InvalidName, ValueTooLong."""
    if experiment_row(tx, project_id, name=wanted.name) is not None:
        return
    experiment_id = create_experiment(tx, actor, project_id, wanted.name, wanted.tags)
    if wanted.created is not None:
        changes.change_experiment(tx, project_id, experiment_id, {"created": check_moment("created", wanted.created)})


def import_run(tx: Tx, actor: Actor, project_id: ProjectId, wanted: ImportRun, at: Millis) -> Landed:
    """One run with what comes with it. Raises UnknownExperiment, ExperimentDeleted; what `check_import` refuses must not come here."""
    owner = imports.owners_across_projects(tx, [wanted.id]).get(wanted.id)
    if owner is not None:
        return "exists" if owner == project_id else "taken"
    row = {
        "id": wanted.id,
        "experiment_id": experiment_for_run(tx, actor, project_id, id=None, name=wanted.experiment),
        "name": wanted.name,
        "status": wanted.status,
        "parent_run_id": wanted.parent_run_id,
        "started": wanted.started,
        "ended": wanted.ended,
        "user_id": actor.id,
        "user_name": wanted.user_name[:MAX_USER_CHARS] or actor.name,
        "source": wanted.source[:MAX_SOURCE_CHARS],
        "notes": wanted.notes[:MAX_NOTES_CHARS],
        "error": wanted.error[-MAX_ERROR_CHARS:],
        "environment": None if wanted.environment is None else to_builtins(wanted.environment),
        "resources": None,
        "last_heartbeat": None,
        "created": now(),
        "archived": wanted.archived,
        "deleted_at": wanted.deleted,
    }
    changes.insert_run(tx, project_id, row)
    head = hot.run_head(tx, project_id, wanted.id)
    if head is None:
        raise InvalidBatch(f"run {wanted.id} was not written")
    points = [MetricPoint(key, value, step, ts) for key, found in wanted.metrics.items() for step, ts, value in found]
    if points:
        hot.add_points(tx, head, points, at)
    for key, value in wanted.params.items():
        hot.add_param(tx, head, key, value)
    hot.set_tags(tx, head, dict(wanted.tags))
    if wanted.inputs:
        hot.add_inputs(tx, head, wanted.inputs, at)
    imports.add_models(tx, wanted.id, wanted.models, at)
    return "created"


def note_import(tx: Tx, actor: Actor, project_id: ProjectId, created: Sequence[str]) -> None:
    """The audit row of one request."""
    detail = {"count": len(created), "runs": list(created)}
    record(tx, actor, "run.imported", project_id=project_id, thing=f"{len(created)} runs", detail=detail)
    tx.announce("runs")


def _check_run(run: ImportRun) -> None:
    if not is_run_id(run.id):
        raise InvalidBatch(f"run id {run.id[:80]!r} is not 32 hexadecimal digits")
    check_name(run.name, "run")
    for what in ("started", "ended", "deleted", "archived"):
        check_moment(what, getattr(run, what))
    if run.parent_run_id is not None and (run.parent_run_id == run.id or not is_run_id(run.parent_run_id)):
        raise InvalidBatch(f"run {run.id} cannot have the parent {run.parent_run_id[:80]!r}; name another run, or leave it out")
    held = len(run.params) + len(run.tags) + len(run.inputs) + len(run.models)
    if held > MAX_ROWS:
        raise BatchTooLarge("params, tags, data sets and models of one run", held, MAX_ROWS)
    for model in run.models:
        check_name(model.id, "logged model")
    check_params(run.params)
    check_tags(run.tags)
    check_inputs(run.inputs)
    points = [MetricPoint(key, value, step, ts) for key, found in run.metrics.items() for step, ts, value in found]
    if len(points) > MAX_IMPORT_POINTS:
        raise BatchTooLarge("points of one run", len(points), MAX_IMPORT_POINTS)
    for start in range(0, len(points), MAX_METRICS):
        check_batch(LogBatch(metrics=points[start : start + MAX_METRICS]))
