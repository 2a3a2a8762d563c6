"""Changes of deployments. Each change is a new generation, which the model servers acknowledge once they serve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.core.names import check_slug
from tilth.domains.audit.actions import record
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.models.types import ResolvedVersion
from tilth.domains.serving.actions.generations import Change, Form, again, apply, checked_note, create, route_to
from tilth.domains.serving.actions.rollout_steps import make_way
from tilth.domains.serving.actions.shadows import end_shadows
from tilth.domains.serving.queries import deployments as queries
from tilth.domains.serving.rules import splits
from tilth.domains.serving.rules.settings import changed
from tilth.domains.serving.types import (
    PLANE_TOPIC,
    Deployment,
    DeploymentChanged,
    NothingToRollBack,
    TwoTargets,
    UnknownGeneration,
)
from tilth.wire.serving import DeploymentSettings


def deploy(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    *,
    model: str,
    version: int | None = None,
    alias: str | None = None,
    settings: Mapping[str, Any] | None = None,
    note: str = "",
    cancel_rollout: bool = False,
) -> Deployment:
    """Lets the deployment serve a version (pinned) or what an alias names (followed); neither means the newest version, pinned.

    Makes the deployment if there is none of that name. Deploying what is deployed changes nothing. settings: those to change, as in JSON.
    Raises InvalidDeploymentSettings, UnknownModel, UnknownVersion, UnknownAlias, NotServable, TwoTargets, InvalidName, and
    RolloutUnderWay unless `cancel_rollout`.
    """
    check_slug(name, "deployment")
    if version is not None and alias is not None:
        raise TwoTargets
    target = model_queries.resolve(tx, project_id, model, version=version, alias=alias)
    route = route_to(target)
    # `latest` and `v3` are no aliases that anybody moves: they mean one version now.
    followed = alias if alias is not None and _is_set(tx, project_id, target, alias) else None
    change = Change(actor, "deploy", checked_note(note))
    existing = queries.deployment_or_none(tx, project_id, name, lock=True)
    before = existing.settings if existing is not None else DeploymentSettings()
    form = Form(target.model_id, target.model, (route,), followed, changed(before, settings or {}))
    if existing is None:
        return create(tx, change, project_id, name, form)
    make_way(tx, actor, existing, cancel=cancel_rollout, why=f"version {target.version} was deployed")
    return apply(tx, change, existing, form)


def split(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    percents: Mapping[int, float],
    *,
    note: str = "",
    cancel_rollout: bool = False,
) -> Deployment:
    """Shares the requests out over versions of the deployment's model. The deployment is pinned to them.

    percents: for each version, adding up to 100, with two decimals. The same caller meets the same version as long as its share does
    not shrink. Raises UnknownDeployment, InvalidSplit, UnknownVersion, NotServable, and RolloutUnderWay unless `cancel_rollout`.
    """
    weights = splits.weights(percents)
    found = queries.deployment_by_name(tx, project_id, name, lock=True)
    model = model_queries.model_by_id(tx, project_id, found.model_id)
    routes = tuple(
        route_to(model_queries.resolve_in(tx, model, version=version), weights[version])
        for version in splits.in_lasting_order(weights, found.routes)
    )
    make_way(tx, actor, found, cancel=cancel_rollout, why="the requests were split by hand")
    form = Form(found.model_id, model.name, routes, None, found.settings)
    return apply(tx, Change(actor, "split", checked_note(note)), found, form)


def rollback(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    *,
    to_generation: int | None = None,
    note: str = "",
    cancel_rollout: bool = False,
) -> Deployment:
    """Serves again what an earlier generation served; None: the last one with other versions or shares. Pinned from then on.

    Raises UnknownDeployment, UnknownGeneration, NothingToRollBack, NotServable, UnknownVersion when the version was deleted, and
    RolloutUnderWay unless `cancel_rollout`.
    """
    found = queries.deployment_by_name(tx, project_id, name, lock=True)
    if to_generation is None:
        earlier = splits.before_this(queries.generations_of(tx, project_id, found.id, queries.MAX_PAGE), found.routes)
        if earlier is None:
            raise NothingToRollBack(name, found.version)
    else:
        named = queries.generation_of(tx, project_id, found.id, to_generation)
        if named is None:
            raise UnknownGeneration(name, to_generation, found.generation)
        earlier = named
    make_way(tx, actor, found, cancel=cancel_rollout, why=f"the deployment went back to generation {earlier.generation}")
    model, routes = again(tx, project_id, earlier.routes)
    words = checked_note(note) or f"back to generation {earlier.generation}"
    # Pinned: an alias that still names the version just left would bring it back with its next move.
    form = Form(earlier.model_id, model, routes, None, earlier.settings)
    return apply(tx, Change(actor, "rollback", words), found, form)


def undeploy(tx: Tx, actor: Actor, project_id: ProjectId, name: str) -> None:
    """Stops serving; the same `deploy` brings it back. Raises UnknownDeployment."""
    found = queries.deployment_by_name(tx, project_id, name, lock=True)
    make_way(tx, actor, found, cancel=True, why="the deployment was taken down")
    queries.update_deployment(tx, project_id, found.id, deleted_at=now())
    models.release_versions(tx, project_id, found.id)
    end_shadows(tx, project_id, found)
    record(tx, actor, "deployment.deleted", project_id=project_id, thing=name, detail={"version": found.version})
    outbox.add(tx, DeploymentChanged(project_id, found.id, name, 0))
    tx.announce(PLANE_TOPIC)


def _is_set(tx: Tx, project_id: ProjectId, target: ResolvedVersion, alias: str) -> bool:
    return alias in model_queries.aliases_of(tx, model_queries.model_by_id(tx, project_id, target.model_id))
