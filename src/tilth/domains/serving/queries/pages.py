"""Deployments as the API and the pages show them: rows joined with the statuses of the workers, which the caller read before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilth.backends.sql import Tx
from tilth.domains.models import queries as models
from tilth.domains.serving.queries import deployments
from tilth.domains.serving.rules.views import deployment_view, generation_view
from tilth.domains.serving.types import Deployment
from tilth.guard import ProjectRef
from tilth.wire.plane import WorkerStatus
from tilth.wire.serving import DeploymentDetail, DeploymentPage, DeploymentView
from tilth.wire.shipping import RefusedSegment


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a view needs besides the database. workers: those whose lease is young; serve_url: of the model servers; refused: segments of
    predictions that could not be shipped."""

    project: ProjectRef
    workers: Sequence[WorkerStatus]
    serve_url: str
    refused: Sequence[RefusedSegment] = ()


def deployment_page(tx: Tx, scope: Surroundings, *, limit: int = 100, offset: int = 0) -> DeploymentPage:
    """By name; limit at most 1,000."""
    found, total = deployments.deployments_page(tx, scope.project.id, limit=limit, offset=offset)
    return DeploymentPage(_views(tx, found, scope), total)


def deployment_one(tx: Tx, scope: Surroundings, name: str) -> DeploymentView:
    """Raises UnknownDeployment."""
    return _views(tx, [deployments.deployment_by_name(tx, scope.project.id, name)], scope)[0]


def deployment_detail(tx: Tx, scope: Surroundings, name: str) -> DeploymentDetail:
    """With its generations, newest first. Raises UnknownDeployment."""
    found = deployments.deployment_by_name(tx, scope.project.id, name)
    history = deployments.generations_of(tx, scope.project.id, found.id)
    return DeploymentDetail(_views(tx, [found], scope)[0], [generation_view(each) for each in history])


def deployments_of_model(tx: Tx, scope: Surroundings, model: str) -> list[DeploymentView]:
    """Deployments that serve any version of the model, at most 1,000. Raises UnknownModel."""
    model_id = models.model_by_name(tx, scope.project.id, model).id
    return _views(tx, deployments.deployments_of_model(tx, scope.project.id, model_id), scope)


def _views(tx: Tx, found: Sequence[Deployment], scope: Surroundings) -> list[DeploymentView]:
    names = models.model_names_across_projects(tx, sorted({each.model_id for each in found}))
    around = (scope.project.name, scope.workers, scope.serve_url, scope.refused)
    return [deployment_view(each, names[each.model_id], *around) for each in found]
