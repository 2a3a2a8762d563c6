"""A version goes into the shadow of a deployment, and out of it. Requests and answers of the deployment stay as they are."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.serving.actions.generations import route_to
from tilth.domains.serving.queries import deployments
from tilth.domains.serving.queries import shadows as queries
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import ShadowServes, TooManyShadows, UnknownShadow


def start_shadow(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int) -> Deployment:
    """From now on the version answers what the deployment is asked, unseen. One that does so already goes on.

    Raises UnknownDeployment, UnknownVersion, NotServable, ShadowServes, TooManyShadows.
    """
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    model = model_queries.model_by_id(tx, project_id, found.model_id)
    route = route_to(model_queries.resolve_in(tx, model, version=version))
    if any(serving.version == version and serving.weight for serving in found.routes):
        raise ShadowServes(name, version)
    there = queries.shadows_of(tx, project_id, found.id)
    if any((shadow.model_id, shadow.version) == (model.id, version) for shadow in there):
        return found
    if len(there) >= queries.MOST_SHADOWS:
        raise TooManyShadows(name, queries.MOST_SHADOWS)
    queries.insert_shadow(
        tx,
        {
            "deployment_id": found.id,
            "model_id": model.id,
            "version": version,
            "project_id": project_id,
            "logged_model_id": route.logged_model_id,
            "manifest_digest": route.manifest_digest,
            "started": now(),
            "actor_id": actor.id,
            "actor_name": actor.name,
        },
    )
    _hold(tx, project_id, found)
    record(
        tx,
        actor,
        "deployment.shadow_started",
        project_id=project_id,
        thing=name,
        detail={"model": model.name, "version": version},
    )
    return found


def stop_shadow(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int) -> Deployment:
    """What it answered so far is kept as long as other predictions. Raises UnknownDeployment, UnknownShadow."""
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    if not queries.delete_shadows(tx, project_id, found.id, version):
        raise UnknownShadow(name, version)
    _hold(tx, project_id, found)
    record(tx, actor, "deployment.shadow_stopped", project_id=project_id, thing=name, detail={"version": version})
    return found


def end_shadows(tx: Tx, project_id: ProjectId, found: Deployment) -> None:
    """With their deployment."""
    if queries.delete_shadows(tx, project_id, found.id):
        models.release_versions(tx, project_id, _holder(found))


def _hold(tx: Tx, project_id: ProjectId, found: Deployment) -> None:
    """A version in the shadow cannot be deleted under its feet."""
    holder, left = _holder(found), queries.shadows_of(tx, project_id, found.id)
    models.release_versions(tx, project_id, holder)
    if left:
        versions = {shadow.version: None for shadow in left}
        models.hold_versions(
            tx, project_id, left[0].model_id, versions, holder=holder, label=f"the shadow of deployment {found.name!r}"
        )


def _holder(found: Deployment) -> str:
    return f"{found.id}/shadow"
