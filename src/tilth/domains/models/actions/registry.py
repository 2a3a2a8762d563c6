"""Registered models, their immutable versions and the words about them."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_model_name
from tilth.domains.audit.actions import record
from tilth.domains.models.actions.gates import check_name_given_up
from tilth.domains.models.queries import logged, registry
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.rules import card as card_rules
from tilth.domains.models.rules import naming
from tilth.domains.models.types import ModelExists, UnknownModel, VersionInUse


def create_model(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, *, description: str = "", tags: dict[str, str] | None = None
) -> RegisteredModel:
    """Raises ModelExists, Invalid."""
    check_model_name(name)
    naming.check_text(description, "description")
    if registry.model_or_none(tx, project_id, name) is not None:
        raise ModelExists(name)
    at = now()
    registry.insert_model(
        tx,
        {
            "id": new_id(),
            "project_id": project_id,
            "name": name,
            "description": description,
            "created": at,
            "updated": at,
            "creator_id": actor.id,
            "creator_name": actor.name,
            "last_version": 0,
            "deleted_at": None,
        },
    )
    model = registry.model_by_name(tx, project_id, name)
    registry.change_tags(tx, model, None, dict(naming.check_tags(tags or {})))
    record(tx, actor, "model.created", project_id=project_id, thing=name)
    return model


def change_model(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    *,
    new_name: str | None = None,
    description: str | None = None,
    tags: dict[str, str | None] | None = None,
    may_loosen: bool = False,
) -> RegisteredModel:
    """Renames, describes, tags. A model that is deployed keeps its name. may_loosen: the caller may remove gates.

    Raises UnknownModel, ModelExists, VersionInUse, GuardedName, Invalid.
    """
    model = registry.model_by_name(tx, project_id, name, lock=True)
    detail: dict[str, object] = {}
    if new_name is not None and new_name != name:
        _check_rename(tx, model, new_name)
        check_name_given_up(tx, model, may_loosen)
        at = now()
        registry.update_model(tx, model, name=new_name, updated=at)
        registry.touch_versions(tx, model, at)
        detail["renamed_from"] = name
    if description is not None:
        registry.update_model(tx, model, description=naming.check_text(description, "description"), updated=now())
        detail["description"] = description[:500]
    if tags:
        naming.check_tags({key: value or "" for key, value in tags.items()})
        registry.change_tags(tx, model, None, tags)
        detail["tags"] = sorted(tags)
    if detail:
        record(tx, actor, "model.changed", project_id=project_id, thing=new_name or name, detail=detail)
    return registry.model_by_id(tx, project_id, model.id)


def _check_rename(tx: Tx, model: RegisteredModel, new_name: str) -> None:
    check_model_name(new_name)
    if registry.model_or_none(tx, model.project_id, new_name) is not None:
        raise ModelExists(new_name)
    holds = registry.holds_on(tx, model)
    if holds:
        raise VersionInUse(
            f"model {model.name!r} is served by {holds[0].label}, whose callers see its name; "
            "end it by `tilth deployment delete`, then rename the model"
        )


def change_version(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    version: int,
    *,
    description: str | None = None,
    tags: dict[str, str | None] | None = None,
) -> None:
    """Words about a version; what it points to never changes. Raises UnknownModel, UnknownVersion, Invalid."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    detail: dict[str, object] = {}
    if description is not None:
        registry.update_version(tx, model, version, description=naming.check_text(description, "description"), updated=now())
        detail["description"] = description[:500]
    if tags:
        naming.check_tags({key: value or "" for key, value in tags.items()})
        registry.change_tags(tx, model, version, tags)
        detail["tags"] = sorted(tags)
    if detail:
        record(tx, actor, "model_version.changed", project_id=project_id, thing=f"{name}/{version}", detail=detail)


def fill_card(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int, fields: dict[str, str | None]) -> None:
    """Texts of the fields that only a person can fill. Raises UnknownModel, UnknownVersion, UnknownCardField, Invalid."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    for field, text in fields.items():
        card_rules.check_field(field)
        registry.put_card_field(
            tx,
            {
                "model_id": model.id,
                "version": version,
                "field": field,
                "project_id": project_id,
                "text": naming.check_text((text or "").strip(), f"card field {field!r}"),
                "updated": now(),
                "author_id": actor.id,
                "author_name": actor.name,
            },
        )
    record(tx, actor, "model_card.changed", project_id=project_id, thing=f"{name}/{version}", detail={"fields": sorted(fields)})


def delete_version(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int) -> None:
    """Hides a version; `restore_version` brings it back. Raises VersionInUse while an alias or a deployment names it."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    _refuse_in_use(tx, model, version)
    registry.update_version(tx, model, version, deleted_at=now())
    record(tx, actor, "model_version.deleted", project_id=project_id, thing=f"{name}/{version}")


def restore_version(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int) -> None:
    """Raises UnknownModel, UnknownVersion (also for one that is not deleted), UnknownLoggedModel when its bytes are gone."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    found = registry.version_of(tx, model, version, deleted=True)
    if found.logged_model_id is not None:
        logged.logged_model_by_id(tx, project_id, found.logged_model_id)
    registry.update_version(tx, model, version, deleted_at=None, updated=now())
    record(tx, actor, "model_version.restored", project_id=project_id, thing=f"{name}/{version}")


def delete_model(tx: Tx, actor: Actor, project_id: ProjectId, name: str, *, may_loosen: bool) -> None:
    """Hides a model with its versions and frees its name; `restore_model` brings it back. may_loosen: the caller may remove gates.

    Raises UnknownModel, GuardedName, VersionInUse while it is served.
    """
    model = registry.model_by_name(tx, project_id, name, lock=True)
    check_name_given_up(tx, model, may_loosen)
    _refuse_in_use(tx, model, None)
    registry.update_model(tx, model, deleted_at=now())
    record(tx, actor, "model.deleted", project_id=project_id, thing=name)


def restore_model(tx: Tx, actor: Actor, project_id: ProjectId, name: str) -> RegisteredModel:
    """Brings back the model of that name that was deleted last. Raises UnknownModel, ModelExists when the name is taken again."""
    if registry.model_or_none(tx, project_id, name) is not None:
        raise ModelExists(name)
    model = registry.deleted_model(tx, project_id, name)
    if model is None:
        raise UnknownModel(name)
    registry.update_model(tx, model, deleted_at=None, updated=now())
    record(tx, actor, "model.restored", project_id=project_id, thing=name)
    return model


def _refuse_in_use(tx: Tx, model: RegisteredModel, version: int | None) -> None:
    """version None: any version of the model counts, but its aliases do not: they go and come back with it."""
    users = [hold.label for hold in registry.holds_on(tx, model) if version in (None, hold.version)]
    if users:
        raise VersionInUse(
            f"{_thing(model, version)} is served by {', '.join(users[:5])}; "
            "deploy another version there, or end it by `tilth deployment delete` first"
        )
    aliases = [alias for alias, number in registry.aliases_of(tx, model).items() if number == version]
    if aliases:
        raise VersionInUse(f"{_thing(model, version)} has the alias {', '.join(aliases[:5])}; move or remove the alias first")


def _thing(model: RegisteredModel, version: int | None) -> str:
    return f"model {model.name!r}" if version is None else f"version {version} of model {model.name!r}"
