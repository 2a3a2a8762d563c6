"""`experiments/*` of MLflow's protocol. An experiment's id here is its number within the project."""

from __future__ import annotations

from msgspec import UNSET

from tilth.backends.sql import Row, Tx
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.api.mlflow.shown import shown_experiment
from tilth.domains.tracking.api.mlflow.words import experiment_not_active, mlflow_words, no_experiment
from tilth.domains.tracking.queries.experiment_search import (
    experiment_numbered,
    experiment_tags,
    experiments_page,
)
from tilth.domains.tracking.rules import mlflow_values as values
from tilth.domains.tracking.rules.experiment_filters import parse_experiment_filter, parse_experiment_orders
from tilth.guard import Access, Permission, mlflow_route
from tilth.wire.mlflow import MlflowError, Nothing, invalid
from tilth.wire.mlflow_paging import offset_of, token_of
from tilth.wire.mlflow_tracking import (
    CreateExperiment,
    DeleteExperimentTag,
    Experiment,
    ExperimentId,
    Experiments,
    GetExperimentByName,
    OfExperiment,
    OneExperiment,
    SearchExperiments,
    SetExperimentTag,
    UpdateExperiment,
)
from tilth.wire.tracking import ExperimentUpdate


@mlflow_route("POST", "/experiments/create", permission=Permission.RUN_WRITE)
async def create_experiment(access: Access[None], wanted: CreateExperiment) -> ExperimentId:
    name, project = wanted.name or "", access.project.id
    values.check_length("name", name, values.MAX_EXPERIMENT_NAME_CHARS)
    values.check_artifact_location(wanted.artifact_location)
    tags = dict(values.experiment_tag(tag.key, tag.value) for tag in wanted.tags or ())

    def create(tx: Tx) -> int:
        made = queries.experiment_row(tx, project, id=actions.create_experiment(tx, access.actor, project, name, tags))
        return int(made.number) if made is not None else -1

    with mlflow_words(experiment=name):
        return ExperimentId(str(await access.write(create)))


@mlflow_route("GET", "/experiments/get", permission=Permission.RUN_READ)
async def get_experiment(access: Access[None], wanted: OfExperiment) -> OneExperiment:
    project = access.project.id
    return await access.read(lambda tx: OneExperiment(_shown(tx, project, _numbered(tx, project, wanted.number))))


@mlflow_route("GET", "/experiments/get-by-name", permission=Permission.RUN_READ)
async def get_experiment_by_name(access: Access[None], wanted: GetExperimentByName) -> OneExperiment:
    name, project = wanted.experiment_name or "", access.project.id

    def find(tx: Tx) -> OneExperiment:
        row = queries.experiment_row(tx, project, name=name)
        if row is None:
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name[:600]}'")
        return OneExperiment(_shown(tx, project, row))

    return await access.read(find)


@mlflow_route("GET POST", "/experiments/search", permission=Permission.RUN_READ)
async def search_experiments(access: Access[None], wanted: SearchExperiments) -> Experiments:
    most = values.check_max_results(1000 if wanted.max_results is None else wanted.max_results)
    offset = offset_of(wanted.page_token)
    lifecycle = values.view(wanted.view_type)
    with mlflow_words():
        terms = parse_experiment_filter(wanted.filter or "")
        orders = parse_experiment_orders(wanted.order_by or ())
    project = access.project.id

    def page(tx: Tx) -> Experiments:
        found = experiments_page(tx, project, terms=terms, orders=orders, lifecycle=lifecycle, limit=most + 1, offset=offset)
        rows = found[:most]
        tags = experiment_tags(tx, project, [row.id for row in rows])
        more = token_of(offset + most) if len(found) > most else None
        return Experiments([shown_experiment(row, tags.get(row.id, {})) for row in rows], more)

    return await access.read(page)


@mlflow_route("POST", "/experiments/update", permission=Permission.RUN_WRITE)
async def update_experiment(access: Access[None], wanted: UpdateExperiment) -> Nothing:
    values.check_length("name", wanted.new_name or "", values.MAX_EXPERIMENT_NAME_CHARS)
    project = access.project.id

    def rename(tx: Tx) -> None:
        row = _numbered(tx, project, wanted.number)
        if row.deleted_at is not None:
            raise invalid("Cannot rename a non-active experiment.")
        actions.update_experiment(tx, access.actor, project, row.id, ExperimentUpdate(name=wanted.new_name or UNSET))

    with mlflow_words(experiment=wanted.number):
        await access.write(rename)
    return Nothing()


@mlflow_route("POST", "/experiments/delete", permission=Permission.RUN_DELETE)
async def delete_experiment(access: Access[None], wanted: OfExperiment) -> Nothing:
    project = access.project.id

    def delete(tx: Tx) -> None:
        row = _numbered(tx, project, wanted.number)
        if row.deleted_at is not None:
            raise no_experiment(wanted.number)
        actions.delete_experiment(tx, access.actor, project, row.id)

    with mlflow_words(experiment=wanted.number):
        await access.write(delete)
    return Nothing()


@mlflow_route("POST", "/experiments/restore", permission=Permission.RUN_DELETE)
async def restore_experiment(access: Access[None], wanted: OfExperiment) -> Nothing:
    project = access.project.id

    def restore(tx: Tx) -> None:
        row = _numbered(tx, project, wanted.number)
        if row.deleted_at is None:
            raise no_experiment(wanted.number)
        actions.restore_experiment(tx, access.actor, project, row.id)

    with mlflow_words(experiment=wanted.number):
        await access.write(restore)
    return Nothing()


@mlflow_route("POST", "/experiments/set-experiment-tag", permission=Permission.RUN_WRITE)
async def set_experiment_tag(access: Access[None], wanted: SetExperimentTag) -> Nothing:
    key, value = values.experiment_tag(wanted.key, wanted.value)
    project = access.project.id

    def write(tx: Tx) -> None:
        row = _active(tx, project, wanted.number)
        actions.update_experiment(tx, access.actor, project, row.id, ExperimentUpdate(tags={key: value}))

    with mlflow_words(experiment=wanted.number):
        await access.write(write)
    return Nothing()


@mlflow_route("POST", "/experiments/delete-experiment-tag", permission=Permission.RUN_WRITE)
async def delete_experiment_tag(access: Access[None], wanted: DeleteExperimentTag) -> Nothing:
    key, project = wanted.key or "", access.project.id

    def remove(tx: Tx) -> None:
        row = _active(tx, project, wanted.number)
        if not actions.remove_experiment_tag(tx, access.actor, project, row.id, key):
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"No tag with name: {key[:300]} in experiment with id {wanted.number}")

    with mlflow_words(experiment=wanted.number):
        await access.write(remove)
    return Nothing()


def _numbered(tx: Tx, project: str, text: str) -> Row:
    """Raises MlflowError."""
    row = experiment_numbered(tx, project, values.experiment_number(text))
    if row is None:
        raise no_experiment(text)
    return row


def _active(tx: Tx, project: str, text: str) -> Row:
    row = _numbered(tx, project, text)
    if row.deleted_at is not None:
        raise experiment_not_active(text)
    return row


def _shown(tx: Tx, project: str, row: Row) -> Experiment:
    return shown_experiment(row, experiment_tags(tx, project, [row.id]).get(row.id, {}))


routes = [
    create_experiment,
    get_experiment,
    get_experiment_by_name,
    search_experiments,
    update_experiment,
    delete_experiment,
    restore_experiment,
    set_experiment_tag,
    delete_experiment_tag,
]
