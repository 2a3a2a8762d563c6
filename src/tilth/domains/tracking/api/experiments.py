"""Experiments over HTTP."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.types import UnknownExperiment
from tilth.guard import AccessTo, Permission, delete, get, patch, post
from tilth.wire.tracking import Experiment, ExperimentCreate, ExperimentList, ExperimentUpdate

BASE = "/api/v1/p/{project:str}/experiments"
ONE = BASE + "/{experiment_id:str}"


def _shown(tx: Tx, project_id: ProjectId, experiment_id: str) -> Experiment:
    found = queries.experiment_detail(tx, project_id, experiment_id)
    if found is None:
        raise UnknownExperiment(experiment_id)
    return found


@get(BASE, permission=Permission.RUN_READ)
async def list_experiments(access: AccessTo[None], deleted: FromQuery[bool] = False) -> ExperimentList:
    project = access.project.id
    return ExperimentList(await access.read(lambda tx: queries.experiments(tx, project, deleted=deleted)))


@post(BASE, permission=Permission.RUN_WRITE)
async def create_experiment(access: AccessTo[None], data: JSONBody[ExperimentCreate]) -> Experiment:
    project = access.project.id

    def create(tx: Tx) -> Experiment:
        return _shown(tx, project, actions.create_experiment(tx, access.actor, project, data.name, data.tags))

    return await access.write(create)


@get(ONE, permission=Permission.RUN_READ)
async def show_experiment(access: AccessTo[None], experiment_id: FromPath[str]) -> Experiment:
    return await access.read(lambda tx: _shown(tx, access.project.id, experiment_id))


@patch(ONE, permission=Permission.RUN_WRITE)
async def update_experiment(access: AccessTo[None], experiment_id: FromPath[str], data: JSONBody[ExperimentUpdate]) -> Experiment:
    project = access.project.id

    def change(tx: Tx) -> Experiment:
        actions.update_experiment(tx, access.actor, project, experiment_id, data)
        return _shown(tx, project, experiment_id)

    return await access.write(change)


@delete(ONE, permission=Permission.RUN_DELETE)
async def delete_experiment(access: AccessTo[None], experiment_id: FromPath[str]) -> None:
    await access.write(lambda tx: actions.delete_experiment(tx, access.actor, access.project.id, experiment_id))


@post(ONE + "/restore", permission=Permission.RUN_DELETE, status_code=200)
async def restore_experiment(access: AccessTo[None], experiment_id: FromPath[str]) -> Experiment:
    project = access.project.id

    def restore(tx: Tx) -> Experiment:
        actions.restore_experiment(tx, access.actor, project, experiment_id)
        return _shown(tx, project, experiment_id)

    return await access.write(restore)


routes = [list_experiments, create_experiment, show_experiment, update_experiment, delete_experiment, restore_experiment]
