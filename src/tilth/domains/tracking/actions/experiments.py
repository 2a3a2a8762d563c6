"""Experiments: made, renamed, deleted, restored."""

from __future__ import annotations

from msgspec import UNSET

from tilth.backends.sql import Row, Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_name
from tilth.domains.audit.actions import record
from tilth.domains.tracking.queries import changes, experiment_row
from tilth.domains.tracking.rules.batches import check_tags
from tilth.domains.tracking.types import (
    DefaultExperimentStays,
    ExperimentDeleted,
    ExperimentExists,
    NotOfThisRun,
    UnknownExperiment,
)
from tilth.wire.tracking import DEFAULT_EXPERIMENT, ExperimentUpdate

MAX_EXPERIMENT_NAME_CHARS = 500
MAX_EXPERIMENT_TAG_CHARS = 20_000


def create_default_experiment(tx: Tx, project_id: ProjectId) -> str:
    """The experiment numbered 0 of a new project, where runs go that name none. Returns its id; safe to repeat."""
    standing = experiment_row(tx, project_id, name=DEFAULT_EXPERIMENT)
    return str(standing.id) if standing is not None else _insert(tx, project_id, DEFAULT_EXPERIMENT)


def create_experiment(tx: Tx, actor: Actor, project_id: ProjectId, name: str, tags: dict[str, str] | None = None) -> str:
    """Returns the id. Raises InvalidName, ExperimentExists."""
    check_name(name, "experiment", MAX_EXPERIMENT_NAME_CHARS)
    check_tags(tags or {}, MAX_EXPERIMENT_TAG_CHARS)
    standing = experiment_row(tx, project_id, name=name)
    if standing is not None:
        raise ExperimentExists(name, deleted=standing.deleted_at is not None)
    experiment_id = _insert(tx, project_id, name)
    changes.set_experiment_tags(tx, project_id, experiment_id, tags or {})
    record(tx, actor, "experiment.created", project_id=project_id, thing=experiment_id, detail={"name": name})
    return experiment_id


def update_experiment(tx: Tx, actor: Actor, project_id: ProjectId, experiment_id: str, update: ExperimentUpdate) -> None:
    """Renames or tags. Raises UnknownExperiment, ExperimentDeleted, ExperimentExists, InvalidName."""
    row = _changeable(tx, project_id, experiment_id)
    if update.name is not UNSET and update.name != row.name:
        check_name(update.name, "experiment", MAX_EXPERIMENT_NAME_CHARS)
        standing = experiment_row(tx, project_id, name=update.name)
        if standing is not None:
            raise ExperimentExists(update.name, deleted=standing.deleted_at is not None)
        changes.change_experiment(tx, project_id, experiment_id, {"name": update.name, "updated": now()})
        names = {"from": row.name, "to": update.name}
        record(tx, actor, "experiment.renamed", project_id=project_id, thing=experiment_id, detail=names)
    if update.tags is not UNSET:
        check_tags(update.tags, MAX_EXPERIMENT_TAG_CHARS)
        changes.set_experiment_tags(tx, project_id, experiment_id, update.tags)
        tagged = {"tags": sorted(update.tags)}
        record(tx, actor, "experiment.tagged", project_id=project_id, thing=experiment_id, detail=tagged)


def remove_experiment_tag(tx: Tx, actor: Actor, project_id: ProjectId, experiment_id: str, key: str) -> bool:
    """Whether the tag was there. Raises UnknownExperiment, ExperimentDeleted."""
    _changeable(tx, project_id, experiment_id)
    if not changes.delete_experiment_tag(tx, project_id, experiment_id, key):
        return False
    record(tx, actor, "experiment.tagged", project_id=project_id, thing=experiment_id, detail={"removed": [key]})
    return True


def delete_experiment(tx: Tx, actor: Actor, project_id: ProjectId, experiment_id: str) -> None:
    """Its runs are deleted with it, at the same moment. Raises UnknownExperiment, ExperimentDeleted, DefaultExperimentStays."""
    row = _alive(tx, project_id, experiment_id)
    if row.number == 0:
        raise DefaultExperimentStays
    moment = now()
    changes.change_experiment(tx, project_id, experiment_id, {"deleted_at": moment, "updated": moment})
    changes.change_runs_of_experiment(tx, project_id, experiment_id, deleted_from=None, deleted_to=moment)
    record(tx, actor, "experiment.deleted", project_id=project_id, thing=experiment_id, detail={"name": row.name})


def restore_experiment(tx: Tx, actor: Actor, project_id: ProjectId, experiment_id: str) -> None:
    """With the runs that were deleted with it. Raises UnknownExperiment. An experiment that is not deleted stays as it is."""
    row = experiment_row(tx, project_id, id=experiment_id)
    if row is None:
        raise UnknownExperiment(experiment_id)
    if row.deleted_at is not None:
        changes.change_experiment(tx, project_id, experiment_id, {"deleted_at": None, "updated": now()})
        changes.change_runs_of_experiment(tx, project_id, experiment_id, deleted_from=row.deleted_at, deleted_to=None)
        record(tx, actor, "experiment.restored", project_id=project_id, thing=experiment_id, detail={"name": row.name})


def experiment_for_run(tx: Tx, actor: Actor, project_id: ProjectId, *, id: str | None, name: str | None) -> str:
    """The experiment a new run goes to; one that is named and not there yet is made. Raises UnknownExperiment, ExperimentDeleted."""
    if id is not None:
        return str(_alive(tx, project_id, id).id)
    wanted = name or DEFAULT_EXPERIMENT
    standing = experiment_row(tx, project_id, name=wanted)
    if standing is None and wanted == DEFAULT_EXPERIMENT:
        return create_default_experiment(tx, project_id)
    if standing is None:
        return create_experiment(tx, actor, project_id, wanted)
    if standing.deleted_at is not None:
        raise ExperimentDeleted(wanted)
    return str(standing.id)


def _changeable(tx: Tx, project_id: ProjectId, experiment_id: str) -> Row:
    if tx.confined_to is not None:
        raise NotOfThisRun(tx.confined_to, f"experiment {experiment_id}")
    return _alive(tx, project_id, experiment_id)


def _alive(tx: Tx, project_id: ProjectId, experiment_id: str) -> Row:
    row = experiment_row(tx, project_id, id=experiment_id)
    if row is None:
        raise UnknownExperiment(experiment_id)
    if row.deleted_at is not None:
        raise ExperimentDeleted(row.name)
    return row


def _insert(tx: Tx, project_id: ProjectId, name: str) -> str:
    number = changes.next_experiment_number(tx, project_id)
    if number == 0 and name != DEFAULT_EXPERIMENT:
        # The first one comes by an event after the project; somebody was faster.
        _insert(tx, project_id, DEFAULT_EXPERIMENT)
        number = 1
    experiment_id, moment = new_id(), now()
    row = {
        "id": experiment_id,
        "number": number,
        "name": name,
        "artifact_area": experiment_id,
        "created": moment,
        "updated": moment,
        "deleted_at": None,
    }
    changes.insert_experiment(tx, project_id, row)
    return experiment_id
