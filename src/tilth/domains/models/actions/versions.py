"""New versions of a registered model, and their stages."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.hashing import Manifest
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.models.actions.registry import create_model
from tilth.domains.models.queries import logged, registry
from tilth.domains.models.queries.registry import ModelVersion, RegisteredModel
from tilth.domains.models.rules import naming
from tilth.domains.models.types import ModelNotReady, ModelVersionRegistered


@dataclass(frozen=True, slots=True)
class Origin:
    """What a version is made of. logged_model_id None: its files lie elsewhere, at `source`. run_id: of the run behind it."""

    source: str
    logged_model_id: str | None = None
    run_id: str | None = None
    run_link: str = ""


def register_version(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    logged_model_id: str,
    *,
    description: str = "",
    tags: dict[str, str] | None = None,
    again: bool = False,
) -> ModelVersion:
    """The next version of the model, which is made if there is none of that name. It seals what the logged model is.

    A logged model that is a version of this model already gives that version, unless `again` asks for another number.
    Raises UnknownLoggedModel, ModelNotReady, Invalid.
    """
    source = logged.lock_logged_model(tx, project_id, logged_model_id)
    if source.status != "ready":
        raise ModelNotReady(source.id, source.status)
    if source.manifest_digest is None:
        raise ModelNotReady(source.id, "changed since it was finalised")
    if registry.model_or_none(tx, project_id, name) is None:
        create_model(tx, actor, project_id, name)
    model = registry.model_by_name(tx, project_id, name, lock=True)
    known = None if again else registry.version_of_logged_model(tx, model, source.id)
    if known is not None:
        return registry.version_of(tx, model, known)
    origin = Origin(f"models:/{source.id}", source.id, source.source_run_id)
    return _insert(tx, actor, model, origin, source.manifest_digest, description, tags or {})


def add_version(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    origin: Origin,
    *,
    description: str = "",
    tags: dict[str, str] | None = None,
) -> ModelVersion:
    """The next version of a model that is there, of whatever its origin holds by now, be it nothing. Repeating it makes another version.

    The files of its logged model never change from now on. Raises UnknownModel, UnknownLoggedModel, Invalid.
    """
    model = registry.model_by_name(tx, project_id, name, lock=True)
    digest: str | None = None
    if origin.logged_model_id is not None:
        source = logged.lock_logged_model(tx, project_id, origin.logged_model_id)
        digest = source.manifest_digest or Manifest.of(logged.files_of(tx, project_id, source.id)).digest
    return _insert(tx, actor, model, origin, digest, description, tags or {})


def _insert(
    tx: Tx, actor: Actor, model: RegisteredModel, origin: Origin, digest: str | None, description: str, tags: dict[str, str]
) -> ModelVersion:
    number, at = model.last_version + 1, now()
    registry.update_model(tx, model, last_version=number, updated=at)
    registry.insert_version(
        tx,
        {
            "model_id": model.id,
            "version": number,
            "project_id": model.project_id,
            "logged_model_id": origin.logged_model_id,
            "manifest_digest": digest,
            "run_id": origin.run_id,
            "run_link": origin.run_link,
            "source": origin.source,
            "status": "ready",
            "status_message": "",
            "stage": "None",
            "description": naming.check_text(description, "description"),
            "created": at,
            "updated": at,
            "creator_id": actor.id,
            "creator_name": actor.name,
            "deleted_at": None,
        },
    )
    registry.change_tags(tx, model, number, dict(naming.check_tags(tags)))
    detail = {"logged_model": origin.logged_model_id, "manifest_digest": digest}
    if origin.logged_model_id is None:
        detail = {"source": origin.source[:500]}
    thing = f"{model.name}/{number}"
    record(tx, actor, "model_version.registered", project_id=model.project_id, thing=thing, detail=detail)
    outbox.add(tx, ModelVersionRegistered(model.project_id, model.name, number, origin.logged_model_id, digest))
    return registry.version_of(tx, model, number)


def move_to_stage(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int, stage: str, *, archive_others: bool = False
) -> None:
    """Sets the stage (case ignored). archive_others: versions that stood there become Archived.

    Raises UnknownStage, UnknownModel, UnknownVersion.
    """
    wanted = naming.check_stage(stage)
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    at = now()
    archived = registry.archive_stage(tx, model, wanted, but=version, at=at) if archive_others else []
    registry.update_version(tx, model, version, stage=wanted, updated=at)
    registry.update_model(tx, model, updated=at)
    detail = {"stage": wanted, "archived": archived}
    record(tx, actor, "model_version.staged", project_id=project_id, thing=f"{name}/{version}", detail=detail)
