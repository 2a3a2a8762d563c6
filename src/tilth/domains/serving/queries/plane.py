"""What the model servers must know, over all projects: they serve every one of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tilth.backends.sql import Tx
from tilth.domains.identity import queries as identity
from tilth.domains.models import queries as models
from tilth.domains.serving.queries.deployments import deployments_across_projects
from tilth.domains.serving.types import Deployment, Route
from tilth.wire.plane import ModelFile, PlaneDeployment, PlaneRoute, PlaneRuntime, PlaneVersion

_PROJECTS_AT_ONCE = 1000


def plane_deployments_across_projects(tx: Tx) -> tuple[PlaneDeployment, ...]:
    """Every deployment with the versions and files behind it, in a stable order."""
    return plane_documents_across_projects(tx, deployments_across_projects(tx))


def plane_documents_across_projects(tx: Tx, found: Sequence[Deployment]) -> tuple[PlaneDeployment, ...]:
    """Deployments with the versions that their routes name, and the files behind them; those of deleted projects are left out."""
    projects = _project_names(tx, sorted({each.project_id for each in found}))
    routes = [route for each in found for route in each.routes]
    names = models.model_names_across_projects(tx, sorted({route.model_id for route in routes}))
    files = {
        id_: tuple(ModelFile(f.path, f.digest, f.size) for f in entries)
        for id_, entries in models.files_across_projects(tx, sorted({route.logged_model_id for route in routes})).items()
    }
    return tuple(
        _plane_deployment(each, projects[each.project_id], names, files) for each in found if each.project_id in projects
    )


def _project_names(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for start in range(0, len(ids), _PROJECTS_AT_ONCE):
        names |= identity.names_of_projects(tx, ids[start : start + _PROJECTS_AT_ONCE])
    return names


def _plane_deployment(
    found: Deployment, project: str, names: dict[str, str], files: dict[str, tuple[ModelFile, ...]]
) -> PlaneDeployment:
    versions = {_key(route, names): _plane_version(route, names, files) for route in found.routes}
    return PlaneDeployment(
        id=found.id,
        project_id=found.project_id,
        project=project,
        name=found.name,
        generation=found.generation,
        versions=tuple(versions.values()),
        routes=tuple(PlaneRoute(_key(route, names), route.weight) for route in found.routes),
        salt=found.salt,
        max_body_bytes=found.settings.max_body_bytes,
        max_queue_rows=found.settings.max_queue_rows,
        on_log_failure=found.settings.on_log_failure,
        log_sync=found.settings.log_sync,
        runtime=msgspec.convert(found.settings, PlaneRuntime, from_attributes=True),
        label_key=found.settings.label_key,
    )


def _key(route: Route, names: dict[str, str]) -> str:
    return f"{names[route.model_id]}/{route.version}"


def _plane_version(route: Route, names: dict[str, str], files: dict[str, tuple[ModelFile, ...]]) -> PlaneVersion:
    return PlaneVersion(
        model=names[route.model_id],
        version=route.version,
        logged_model_id=route.logged_model_id,
        manifest_digest=route.manifest_digest,
        files=files[route.logged_model_id],
    )
