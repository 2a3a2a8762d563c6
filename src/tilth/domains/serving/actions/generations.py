"""A deployment takes its next form: a generation, which the model servers acknowledge once they serve it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.core.ids import ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.models.types import ResolvedVersion
from tilth.domains.serving.queries import deployments as queries
from tilth.domains.serving.rules.splits import main_version
from tilth.domains.serving.types import PLANE_TOPIC, WHOLE, Cause, Deployment, DeploymentChanged, NotServable, Route
from tilth.wire.serving import DeploymentSettings

MAX_NOTE_CHARS = 2000


class NoteTooLong(Invalid):
    """A note on a change is above its bound."""


class UnstorableNote(Invalid):
    """A note on a change holds what not every database keeps."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes a deployment, and why. The note is at most MAX_NOTE_CHARS long (`checked_note`)."""

    actor: Actor
    cause: Cause
    note: str


@dataclass(frozen=True, slots=True)
class Form:
    """What a deployment shall be. routes: of one model, the candidate first. alias: the one it follows, None when it is pinned.

    version: the one it is known by, None for that with the largest share.
    """

    model_id: str
    model: str
    routes: tuple[Route, ...]
    alias: str | None
    settings: DeploymentSettings
    version: int | None = None

    @property
    def known_by(self) -> int:
        return main_version(self.routes) if self.version is None else self.version


def checked_note(note: str) -> str:
    """Raises NoteTooLong and UnstorableNote."""
    if len(note) > MAX_NOTE_CHARS:
        raise NoteTooLong(f"the note has {len(note)} characters; at most {MAX_NOTE_CHARS} are kept")
    if "\0" in note:
        raise UnstorableNote("the note holds a NUL character, which no database keeps; remove it")
    return note


def route_to(target: ResolvedVersion, weight: int = WHOLE) -> Route:
    """Raises NotServable."""
    if target.unservable or target.logged_model_id is None or target.manifest_digest is None:
        raise NotServable(target.model, target.version, target.unservable)
    return Route(target.model_id, target.version, target.logged_model_id, target.manifest_digest, weight)


def again(tx: Tx, project_id: ProjectId, routes: Iterable[Route]) -> tuple[str, tuple[Route, ...]]:
    """The routes of an earlier time as they can be served today, and the name of their model.

    Raises NotServable, UnknownModel, UnknownVersion when one of them was deleted.
    """
    listed = tuple(routes)
    model = model_queries.model_by_id(tx, project_id, listed[0].model_id)
    found = tuple(route_to(model_queries.resolve_in(tx, model, version=route.version), route.weight) for route in listed)
    return model.name, found


def create(tx: Tx, change: Change, project_id: ProjectId, name: str, form: Form) -> Deployment:
    """The first generation."""
    id_, at = new_id(), now()
    queries.insert_deployment(
        tx,
        {
            "id": id_,
            "project_id": project_id,
            "name": name,
            **_columns(form),
            "generation": 1,
            # Buckets of callers stay where they are as long as the deployment lives.
            "salt": id_,
            "created": at,
            "updated": at,
            "changed_by_id": change.actor.id,
            "changed_by_name": change.actor.name,
            "deleted_at": None,
        },
    )
    made = queries.deployment_by_name(tx, project_id, name)
    _told(tx, change, made, None, form.model)
    return made


def apply(tx: Tx, change: Change, found: Deployment, form: Form) -> Deployment:
    """The next generation, unless nothing would change."""
    project_id = ProjectId(found.project_id)
    if (found.routes, found.alias, found.settings, found.version) == (form.routes, form.alias, form.settings, form.known_by):
        if found.problem:
            queries.update_deployment(tx, project_id, found.id, problem="", updated=now())
        return queries.deployment_by_name(tx, project_id, found.name)
    queries.update_deployment(
        tx,
        project_id,
        found.id,
        **_columns(form),
        generation=found.generation + 1,
        updated=now(),
        changed_by_id=change.actor.id,
        changed_by_name=change.actor.name,
    )
    made = queries.deployment_by_name(tx, project_id, found.name)
    _told(tx, change, made, found, form.model)
    return made


def _columns(form: Form) -> dict[str, object]:
    return {
        "model_id": form.model_id,
        "alias": form.alias,
        "version": form.known_by,
        "routes": queries.routes_document(form.routes),
        "settings": msgspec.to_builtins(form.settings),
        "problem": "",
    }


def _told(tx: Tx, change: Change, made: Deployment, before: Deployment | None, model: str) -> None:
    """Everything that goes with a new generation: history, holds on the versions, audit, event, wake-up of the publisher."""
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
    held = {route.version: made.alias if route.version == made.version else None for route in made.routes}
    models.hold_versions(tx, project_id, made.model_id, held, holder=made.id, label=f"deployment {made.name!r}")
    detail: dict[str, object] = {
        "cause": change.cause,
        "generation": made.generation,
        "model": model,
        "alias": made.alias,
        "from_version": before.version if before else None,
        "version": made.version,
        "note": change.note,
    }
    if len(made.routes) > 1:
        detail["percent"] = {str(route.version): route.weight / 100 for route in made.routes}
    action = "deployment.created" if before is None else "deployment.changed"
    record(tx, change.actor, action, project_id=project_id, thing=made.name, detail=detail)
    outbox.add(tx, DeploymentChanged(project_id, made.id, made.name, made.generation))
    tx.announce(PLANE_TOPIC)
