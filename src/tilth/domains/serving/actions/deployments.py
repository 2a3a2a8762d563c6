"""Changes of deployments. Each change is a new generation, which the model servers acknowledge once they serve it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import SYSTEM, Actor
from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_slug
from tilth.domains.audit.actions import record
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.models.types import AliasMoved, ResolvedVersion
from tilth.domains.serving.queries import deployments as queries
from tilth.domains.serving.types import (
    PLANE_TOPIC,
    Cause,
    Deployment,
    DeploymentChanged,
    NothingToRollBack,
    NotServable,
    Route,
    TwoTargets,
    UnknownGeneration,
)
from tilth.wire.serving import DeploymentSettings

MAX_NOTE_CHARS = 2000


class NoteTooLong(Invalid):
    """A note on a change is above its bound."""


@dataclass(frozen=True, slots=True)
class _Change:
    """Who changes a deployment, and why."""

    actor: Actor
    cause: Cause
    note: str


def deploy(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    *,
    model: str,
    version: int | None = None,
    alias: str | None = None,
    settings: DeploymentSettings | None = None,
    note: str = "",
) -> Deployment:
    """Lets the deployment serve a version (pinned) or what an alias names (followed); neither means the newest version, pinned.

    Makes the deployment if there is none of that name. Deploying what is deployed changes nothing. settings None: as before.
    Raises UnknownModel, UnknownVersion, UnknownAlias, NotServable, TwoTargets, InvalidName.
    """
    check_slug(name, "deployment")
    if version is not None and alias is not None:
        raise TwoTargets
    target = model_queries.resolve(tx, project_id, model, version=version, alias=alias)
    _check_servable(target)
    # `latest` and `v3` are no aliases that anybody moves: they mean one version now.
    followed = alias if alias is not None and _is_set(tx, project_id, target, alias) else None
    change = _Change(actor, "deploy", _checked(note))
    existing = queries.deployment_or_none(tx, project_id, name, lock=True)
    if existing is None:
        return _create(tx, change, project_id, name, target, followed, settings or DeploymentSettings())
    return _apply(tx, change, existing, target, followed, settings or existing.settings)


def rollback(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, *, to_generation: int | None = None, note: str = ""
) -> Deployment:
    """Serves again what an earlier generation served; None: the last one with another version. The deployment is pinned to it.

    Raises UnknownDeployment, UnknownGeneration, NothingToRollBack, NotServable, UnknownVersion when the version was deleted.
    """
    found = queries.deployment_by_name(tx, project_id, name, lock=True)
    if to_generation is None:
        earlier = queries.last_generation_of_another_version(tx, project_id, found.id, found.model_id, found.version)
        if earlier is None:
            raise NothingToRollBack(name, found.version)
    else:
        earlier = queries.generation_of(tx, project_id, found.id, to_generation)
        if earlier is None:
            raise UnknownGeneration(name, to_generation, found.generation)
    model = model_queries.model_by_id(tx, project_id, earlier.model_id)
    target = model_queries.resolve_in(tx, model, version=earlier.version)
    _check_servable(target)
    words = _checked(note) or f"back to generation {earlier.generation}"
    # Pinned: an alias that still names the version just left would bring it back with its next move.
    return _apply(tx, _Change(actor, "rollback", words), found, target, None, earlier.settings)


def undeploy(tx: Tx, actor: Actor, project_id: ProjectId, name: str) -> None:
    """Stops serving; the same `deploy` brings it back. Raises UnknownDeployment."""
    found = queries.deployment_by_name(tx, project_id, name, lock=True)
    queries.update_deployment(tx, project_id, found.id, deleted_at=now())
    models.release_versions(tx, project_id, found.id)
    record(tx, actor, "deployment.deleted", project_id=project_id, thing=name, detail={"version": found.version})
    outbox.add(tx, DeploymentChanged(project_id, found.id, name, 0))
    tx.announce(PLANE_TOPIC)


def follow_alias(tx: Tx, event: AliasMoved) -> list[Deployment]:
    """Moves every deployment that follows the alias to the version it names NOW, so that late or repeated events do no harm.

    Where that version cannot be served, what serves goes on and the deployment says why. Returns those that changed.
    """
    changed: list[Deployment] = []
    for found in queries.followers_of(tx, event.project_id, event.model_id, event.alias):
        project_id = ProjectId(found.project_id)
        model = model_queries.model_by_id(tx, project_id, found.model_id)
        if event.alias not in model_queries.aliases_of(tx, model):
            continue
        target = model_queries.resolve_in(tx, model, alias=event.alias)
        if target.unservable:
            _note_problem(tx, found, target)
        elif target.version != found.version or found.problem:
            note = f"alias {event.alias} moved by {event.by}"
            changed.append(_apply(tx, _Change(SYSTEM, "alias", note), found, target, event.alias, found.settings))
    return changed


def _create(
    tx: Tx,
    change: _Change,
    project_id: ProjectId,
    name: str,
    target: ResolvedVersion,
    alias: str | None,
    settings: DeploymentSettings,
) -> Deployment:
    id_, at = new_id(), now()
    routes = _routes(target)
    queries.insert_deployment(
        tx,
        {
            "id": id_,
            "project_id": project_id,
            "name": name,
            "model_id": target.model_id,
            "alias": alias,
            "version": target.version,
            "generation": 1,
            "routes": queries.routes_document(routes),
            "settings": msgspec.to_builtins(settings),
            # Buckets of callers stay where they are as long as the deployment lives.
            "salt": id_,
            "problem": "",
            "created": at,
            "updated": at,
            "changed_by_id": change.actor.id,
            "changed_by_name": change.actor.name,
            "deleted_at": None,
        },
    )
    made = queries.deployment_by_name(tx, project_id, name)
    _told(tx, change, made, None, target, "deployment.created")
    return made


def _apply(
    tx: Tx, change: _Change, found: Deployment, target: ResolvedVersion, alias: str | None, settings: DeploymentSettings
) -> Deployment:
    """The next generation, unless nothing would change."""
    routes, project_id = _routes(target), ProjectId(found.project_id)
    if (found.routes, found.alias, found.settings) == (routes, alias, settings):
        if found.problem:
            queries.update_deployment(tx, project_id, found.id, problem="", updated=now())
        return queries.deployment_by_name(tx, project_id, found.name)
    queries.update_deployment(
        tx,
        project_id,
        found.id,
        model_id=target.model_id,
        alias=alias,
        version=target.version,
        generation=found.generation + 1,
        routes=queries.routes_document(routes),
        settings=msgspec.to_builtins(settings),
        problem="",
        updated=now(),
        changed_by_id=change.actor.id,
        changed_by_name=change.actor.name,
    )
    made = queries.deployment_by_name(tx, project_id, found.name)
    _told(tx, change, made, found, target, "deployment.changed")
    return made


def _told(tx: Tx, change: _Change, made: Deployment, before: Deployment | None, target: ResolvedVersion, action: str) -> None:
    """Everything that goes with a new generation: history, hold on the version, audit, event, wake-up of the publisher."""
    project_id = ProjectId(made.project_id)
    queries.insert_generation(
        tx,
        {
            "deployment_id": made.id,
            "generation": made.generation,
            "project_id": project_id,
            "cause": change.cause,
            "model_id": made.model_id,
            "alias": made.alias,
            "from_version": before.version if before else None,
            "version": made.version,
            "routes": queries.routes_document(made.routes),
            "settings": msgspec.to_builtins(made.settings),
            "note": change.note,
            "created": made.updated,
            "actor_id": change.actor.id,
            "actor_name": change.actor.name,
        },
    )
    models.hold_version(tx, project_id, target, holder=made.id, label=f"deployment {made.name!r}", alias=made.alias)
    detail = {
        "cause": change.cause,
        "generation": made.generation,
        "model": target.model,
        "alias": made.alias,
        "from_version": before.version if before else None,
        "version": made.version,
        "note": change.note,
    }
    record(tx, change.actor, action, project_id=project_id, thing=made.name, detail=detail)
    outbox.add(tx, DeploymentChanged(project_id, made.id, made.name, made.generation))
    tx.announce(PLANE_TOPIC)


def _note_problem(tx: Tx, found: Deployment, target: ResolvedVersion) -> None:
    problem = (
        f"alias {found.alias!r} names version {target.version}, which cannot be served: {target.unservable}; "
        f"version {found.version} serves on"
    )
    if problem == found.problem:
        return
    queries.update_deployment(tx, found.project_id, found.id, problem=problem, updated=now())
    detail = {"alias": found.alias, "version": target.version, "why": target.unservable}
    record(tx, SYSTEM, "deployment.held_back", project_id=found.project_id, thing=found.name, detail=detail)


def _is_set(tx: Tx, project_id: ProjectId, target: ResolvedVersion, alias: str) -> bool:
    return alias in model_queries.aliases_of(tx, model_queries.model_by_id(tx, project_id, target.model_id))


def _routes(target: ResolvedVersion) -> tuple[Route, ...]:
    if target.logged_model_id is None or target.manifest_digest is None:
        raise NotServable(target.model, target.version, target.unservable)
    return (Route(target.model_id, target.version, target.logged_model_id, target.manifest_digest),)


def _check_servable(target: ResolvedVersion) -> None:
    if target.unservable:
        raise NotServable(target.model, target.version, target.unservable)


def _checked(note: str) -> str:
    if len(note) > MAX_NOTE_CHARS:
        raise NoteTooLong(f"the note has {len(note)} characters; at most {MAX_NOTE_CHARS} are kept")
    return note
