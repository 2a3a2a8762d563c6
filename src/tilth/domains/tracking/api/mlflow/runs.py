"""`runs/create`, `get`, `update`, `delete`, `restore` and `artifacts/list` of MLflow's protocol."""

from __future__ import annotations

from msgspec import UNSET

from tilth.backends.sql import Tx
from tilth.core.names import check_artifact_path
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.api.mlflow.shown import run_artifact_root, shown_info, shown_run
from tilth.domains.tracking.api.mlflow.words import experiment_not_active, mlflow_words, no_experiment, no_run
from tilth.domains.tracking.queries import hot
from tilth.domains.tracking.queries.experiment_search import experiment_numbered
from tilth.domains.tracking.queries.whole import run_with_experiment, whole_run
from tilth.domains.tracking.rules import mlflow_values as values
from tilth.domains.tracking.rules.mlflow_tags import NAME, SOURCE, STATUS_IN, USER, Facts, facts_of
from tilth.domains.tracking.types import ENDED, RunDeleted
from tilth.guard import Access, Permission, mlflow_route
from tilth.wire.mlflow import Nothing, invalid, invalid_value
from tilth.wire.mlflow_tracking import (
    CreateRun,
    FileInfo,
    Files,
    ListArtifacts,
    OfRun,
    OneRun,
    OneRunInfo,
    UpdateRun,
)
from tilth.wire.tracking import RunCreate, RunUpdate

DEFAULT_EXPERIMENT_NUMBER = "0"


@mlflow_route("POST", "/runs/create", permission=Permission.RUN_WRITE)
async def create_run(access: Access[None], wanted: CreateRun) -> OneRun:
    tags = dict(values.tag(tag.key, tag.value, f"tags[{index}]") for index, tag in enumerate(wanted.tags or ()))
    if wanted.run_name and tags.get(NAME) and wanted.run_name != tags[NAME]:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with "
            f"different values (run_name='{wanted.run_name}', mlflow.runName='{tags[NAME]}')."
        )
    if wanted.user_id and wanted.user_id != "unknown":
        tags.setdefault(USER, wanted.user_id)
    facts = facts_of(tags)
    number, project = wanted.experiment_id or DEFAULT_EXPERIMENT_NUMBER, access.project.id

    def create(tx: Tx) -> OneRun:
        if number == DEFAULT_EXPERIMENT_NUMBER:
            actions.create_default_experiment(tx, project)
        experiment = experiment_numbered(tx, project, values.experiment_number(number))
        if experiment is None:
            raise no_experiment(number)
        if experiment.deleted_at is not None:
            raise experiment_not_active(number)
        facts_here = _with_known_parent(tx, project, facts)
        run_id = actions.create_run(
            tx,
            access.actor,
            project,
            RunCreate(
                experiment_id=experiment.id,
                name=wanted.run_name or facts.name,
                parent_run_id=facts_here.parent_run_id,
                started=wanted.start_time,
                source=facts_here.tags.get(SOURCE, "")[:2000],
                notes=facts_here.notes or "",
                tags=facts_here.tags,
            ),
        )
        made = whole_run(tx, project, run_id)
        if made is None:
            raise no_run(run_id)
        return OneRun(shown_run(made))

    with mlflow_words(experiment=number):
        return await access.write(create)


@mlflow_route("GET", "/runs/get", permission=Permission.RUN_READ)
async def get_run(access: Access[None], wanted: OfRun) -> OneRun:
    project = access.project.id
    found = await access.read(lambda tx: whole_run(tx, project, wanted.run))
    if found is None:
        raise no_run(wanted.run)
    return OneRun(shown_run(found))


@mlflow_route("POST", "/runs/update", permission=Permission.RUN_WRITE)
async def update_run(access: Access[None], wanted: UpdateRun) -> OneRunInfo:
    status = None if wanted.status is None else STATUS_IN.get(str(wanted.status).upper())
    if wanted.status is not None and status is None:
        raise invalid(invalid_value("status", wanted.status))
    update = RunUpdate(
        name=wanted.run_name or UNSET,
        status=status or UNSET,  # type: ignore[arg-type]
        ended=UNSET if wanted.end_time is None else wanted.end_time,
    )
    project, run_id = access.project.id, wanted.run

    def change(tx: Tx) -> OneRunInfo:
        before = run_with_experiment(tx, project, run_id)
        if update.ended is UNSET and status in ENDED and before is not None and before.ended is not None:
            # The end that was told stands until another is told.
            update.ended = before.ended
        actions.update_run(tx, access.actor, project, run_id, update)
        found = run_with_experiment(tx, project, run_id)
        if found is None:
            raise no_run(run_id)
        return OneRunInfo(shown_info(found, hot.tag_value(tx, run_id, USER) or found.user_name))

    with mlflow_words(run_id=run_id):
        return await access.write(change)


@mlflow_route("POST", "/runs/delete", permission=Permission.RUN_DELETE)
async def delete_run(access: Access[None], wanted: OfRun) -> Nothing:
    """Of a run that is deleted already nothing changes."""
    project, run_id = access.project.id, wanted.run

    def delete(tx: Tx) -> None:
        try:
            actions.delete_run(tx, access.actor, project, run_id)
        except RunDeleted:
            return

    with mlflow_words(run_id=run_id):
        await access.write(delete)
    return Nothing()


@mlflow_route("POST", "/runs/restore", permission=Permission.RUN_DELETE)
async def restore_run(access: Access[None], wanted: OfRun) -> Nothing:
    with mlflow_words(run_id=wanted.run):
        await access.write(lambda tx: actions.restore_run(tx, access.actor, access.project.id, wanted.run))
    return Nothing()


@mlflow_route("GET", "/artifacts/list", permission=Permission.RUN_READ)
async def list_artifacts(access: Access[None], wanted: ListArtifacts) -> Files:
    """What lies in the folder `path` (the root if it is left out); of a file itself there is nothing to list."""
    folder, project = (wanted.path or "").rstrip("/"), access.project.id
    if folder == ".":
        folder = ""
    if folder:
        with mlflow_words():
            check_artifact_path(folder)

    def entries(tx: Tx) -> Files:
        run = run_with_experiment(tx, project, wanted.run)
        if run is None:
            raise no_run(wanted.run)
        found = queries.artifacts_of(tx, project, wanted.run, folder=folder)
        files = [FileInfo(entry.path, entry.is_dir, None if entry.is_dir else entry.size) for entry in found]
        return Files(run_artifact_root(run.number, run.id), sorted(files, key=lambda file: file.path))

    return await access.read(entries)


def _with_known_parent(tx: Tx, project: str, facts: Facts) -> Facts:
    """A parent that is not in this project, or deleted, remains a tag like any other."""
    if facts.parent_run_id is None:
        return facts
    head = hot.run_head(tx, project, facts.parent_run_id)
    return facts if head is not None and head.deleted_at is None else facts.without_parent()


routes = [create_run, get_run, update_run, delete_run, restore_run, list_artifacts]
