"""Registered models, versions, aliases and holds as the actions need them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from tilth.backends.sql import Tx, upsert
from tilth.domains.models.queries.logged import logged_model_by_id
from tilth.domains.models.rules.sources import files_elsewhere
from tilth.domains.models.tables import (
    card_field,
    model_alias,
    model_alias_move,
    model_version,
    model_version_tag,
    registered_model,
    registered_model_tag,
    version_hold,
)
from tilth.domains.models.types import ResolvedVersion, UnknownAlias, UnknownModel, UnknownVersion

MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    id: str
    project_id: str
    name: str
    description: str
    last_version: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """What a version is, without the words about it. Immutable from its registration on.

    logged_model_id, manifest_digest: None for a version whose files lie elsewhere, at `source`.
    """

    model_id: str
    version: int
    logged_model_id: str | None
    manifest_digest: str | None
    run_id: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody above needs this version. alias: the alias that led him there, None for a version he named himself."""

    holder: str
    label: str
    version: int
    alias: str | None


def model_by_name(tx: Tx, project_id: str, name: str, *, lock: bool = False) -> RegisteredModel:
    """lock: hold it against other writers until the transaction ends. Raises UnknownModel."""
    found = model_or_none(tx, project_id, name, lock=lock)
    if found is None:
        raise UnknownModel(name)
    return found


def model_or_none(tx: Tx, project_id: str, name: str, *, lock: bool = False) -> RegisteredModel | None:
    return _model(tx, project_id, registered_model.c.name == name, registered_model.c.deleted_at.is_(None), lock=lock)


def deleted_model(tx: Tx, project_id: str, name: str) -> RegisteredModel | None:
    """The model of that name that was deleted last."""
    return _model(tx, project_id, registered_model.c.name == name, registered_model.c.deleted_at.is_not(None), lock=True)


def model_by_id(tx: Tx, project_id: str, model_id: str, *, lock: bool = False) -> RegisteredModel:
    """Raises UnknownModel."""
    found = _model(tx, project_id, registered_model.c.id == model_id, registered_model.c.deleted_at.is_(None), lock=lock)
    if found is None:
        raise UnknownModel(model_id)
    return found


def _model(tx: Tx, project_id: str, *conditions: Any, lock: bool) -> RegisteredModel | None:
    statement = (
        select(
            registered_model.c.id,
            registered_model.c.project_id,
            registered_model.c.name,
            registered_model.c.description,
            registered_model.c.last_version,
        )
        .where(registered_model.c.project_id == project_id, *conditions)
        .order_by(registered_model.c.deleted_at.desc())
        .limit(1)
    )
    row = tx.one(statement.with_for_update() if lock else statement)
    return RegisteredModel(row.id, row.project_id, row.name, row.description, row.last_version) if row else None


def model_names_across_projects(tx: Tx, model_ids: Sequence[str]) -> dict[str, str]:
    """id -> name of at most 10,000 models, deleted ones included: for the model servers."""
    rows = tx.all(
        select(registered_model.c.id, registered_model.c.name).where(registered_model.c.id.in_(list(model_ids)[:10_000]))
    )
    return {row.id: row.name for row in rows}


def version_of(tx: Tx, model: RegisteredModel, version: int, *, deleted: bool = False) -> ModelVersion:
    """Raises UnknownVersion, which names the newest one. deleted: look among the deleted ones."""
    state = model_version.c.deleted_at.is_not(None) if deleted else model_version.c.deleted_at.is_(None)
    row = tx.one(
        select(
            model_version.c.model_id,
            model_version.c.version,
            model_version.c.logged_model_id,
            model_version.c.manifest_digest,
            model_version.c.run_id,
            model_version.c.source,
        ).where(
            model_version.c.project_id == model.project_id,
            model_version.c.model_id == model.id,
            model_version.c.version == version,
            state,
        )
    )
    if row is None:
        raise UnknownVersion(model.name, version, newest_version(tx, model))
    return ModelVersion(row.model_id, row.version, row.logged_model_id, row.manifest_digest, row.run_id, row.source)


def version_of_logged_model(tx: Tx, model: RegisteredModel, logged_model_id: str) -> int | None:
    """The version under which the logged model already stands in this model."""
    found: int | None = tx.scalar(
        select(func.max(model_version.c.version)).where(
            model_version.c.project_id == model.project_id,
            model_version.c.model_id == model.id,
            model_version.c.logged_model_id == logged_model_id,
            model_version.c.deleted_at.is_(None),
        )
    )
    return found


def newest_version(tx: Tx, model: RegisteredModel) -> int | None:
    found: int | None = tx.scalar(
        select(func.max(model_version.c.version)).where(
            model_version.c.project_id == model.project_id,
            model_version.c.model_id == model.id,
            model_version.c.deleted_at.is_(None),
        )
    )
    return found


def aliases_of(tx: Tx, model: RegisteredModel) -> dict[str, int]:
    """alias -> version, sorted by alias; at most 1,000."""
    rows = tx.all(
        select(model_alias.c.alias, model_alias.c.version)
        .where(model_alias.c.project_id == model.project_id, model_alias.c.model_id == model.id)
        .order_by(model_alias.c.alias)
        .limit(MAX_ROWS)
    )
    return {row.alias: row.version for row in rows}


def alias_version(tx: Tx, model: RegisteredModel, alias: str) -> int | None:
    found: int | None = tx.scalar(
        select(model_alias.c.version).where(
            model_alias.c.project_id == model.project_id, model_alias.c.model_id == model.id, model_alias.c.alias == alias
        )
    )
    return found


def holds_on(tx: Tx, model: RegisteredModel) -> list[Hold]:
    """Who needs which version of the model, at most 1,000."""
    rows = tx.all(
        select(version_hold.c.holder, version_hold.c.label, version_hold.c.version, version_hold.c.alias)
        .where(version_hold.c.project_id == model.project_id, version_hold.c.model_id == model.id)
        .order_by(version_hold.c.label, version_hold.c.version)
        .limit(MAX_ROWS)
    )
    return [Hold(row.holder, row.label, row.version, row.alias) for row in rows]


def resolve(tx: Tx, project_id: str, name: str, *, version: int | None = None, alias: str | None = None) -> ResolvedVersion:
    """The version behind a number or an alias; neither, or the alias `latest`, means the newest. An alias `v3` means version 3.

    Raises UnknownModel, UnknownVersion, UnknownAlias.
    """
    model = model_by_name(tx, project_id, name)
    return resolve_in(tx, model, version=version, alias=alias)


def resolve_in(tx: Tx, model: RegisteredModel, *, version: int | None = None, alias: str | None = None) -> ResolvedVersion:
    """As `resolve`, for a model already at hand."""
    number = version if version is not None else _number_of(tx, model, alias)
    found = version_of(tx, model, number)
    why = files_elsewhere(found.source)
    if found.logged_model_id is not None:
        why = logged_model_by_id(tx, model.project_id, found.logged_model_id).unservable
    return ResolvedVersion(model.id, model.name, number, found.logged_model_id, found.manifest_digest, why)


def _number_of(tx: Tx, model: RegisteredModel, alias: str | None) -> int:
    if alias is None or alias.lower() == "latest":
        newest = newest_version(tx, model)
        if newest is None:
            raise UnknownVersion(model.name, 1, None)
        return newest
    if alias[:1] in "vV" and alias[1:].isdecimal() and len(alias) < 11:
        return int(alias[1:])
    found = alias_version(tx, model, alias)
    if found is None:
        raise UnknownAlias(model.name, alias, list(aliases_of(tx, model)))
    return found


def insert_model(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(registered_model).values(**row))


def update_model(tx: Tx, model: RegisteredModel, **changes: Any) -> None:
    tx.run(
        update(registered_model)
        .where(registered_model.c.project_id == model.project_id, registered_model.c.id == model.id)
        .values(**changes)
    )


def insert_version(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(model_version).values(**row))


def update_version(tx: Tx, model: RegisteredModel, version: int, **changes: Any) -> None:
    tx.run(
        update(model_version)
        .where(
            model_version.c.project_id == model.project_id,
            model_version.c.model_id == model.id,
            model_version.c.version == version,
        )
        .values(**changes)
    )


def touch_versions(tx: Tx, model: RegisteredModel, at: int) -> None:
    """Every version of the model changed now: what they are called did."""
    tx.run(
        update(model_version)
        .where(model_version.c.project_id == model.project_id, model_version.c.model_id == model.id)
        .values(updated=at)
    )


def archive_stage(tx: Tx, model: RegisteredModel, stage: str, *, but: int, at: int) -> list[int]:
    """Versions that stand in the stage, all but one, become Archived. Their numbers, at most 1,000."""
    standing = (
        model_version.c.project_id == model.project_id,
        model_version.c.model_id == model.id,
        model_version.c.stage == stage,
        model_version.c.version != but,
        model_version.c.deleted_at.is_(None),
    )
    rows = tx.all(select(model_version.c.version).where(*standing).order_by(model_version.c.version).limit(MAX_ROWS))
    tx.run(update(model_version).where(*standing).values(stage="Archived", updated=at))
    return [row.version for row in rows]


def put_alias(tx: Tx, model: RegisteredModel, alias: str, version: int, at: int) -> None:
    tx.run(
        upsert(model_alias, keys=["model_id", "alias"], update=["version", "updated"]).values(
            model_id=model.id, alias=alias, project_id=model.project_id, version=version, updated=at
        )
    )


def delete_alias(tx: Tx, model: RegisteredModel, alias: str) -> None:
    tx.run(
        delete(model_alias).where(
            model_alias.c.project_id == model.project_id, model_alias.c.model_id == model.id, model_alias.c.alias == alias
        )
    )


def insert_alias_move(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(model_alias_move).values(**row))


def change_tags(tx: Tx, model: RegisteredModel, version: int | None, tags: Mapping[str, str | None]) -> None:
    """Sets tags of the model (version None) or of one version; a value of None removes the tag."""
    table = registered_model_tag if version is None else model_version_tag
    keys: dict[str, Any] = {"model_id": model.id} if version is None else {"model_id": model.id, "version": version}
    for key, value in tags.items():
        if value is None:
            matches = [table.c[name] == wanted for name, wanted in keys.items()]
            tx.run(delete(table).where(table.c.project_id == model.project_id, table.c.key == key, *matches))
        else:
            row = {**keys, "project_id": model.project_id, "key": key, "value": value}
            tx.run(upsert(table, keys=[*keys, "key"], update=["value"]).values(**row))


def put_card_field(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(
        upsert(card_field, keys=["model_id", "version", "field"], update=["text", "updated", "author_id", "author_name"]).values(
            **row
        )
    )


def put_hold(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(upsert(version_hold, keys=["holder", "model_id", "version"], update=["label", "alias"]).values(**row))


def delete_holds(tx: Tx, project_id: str, holder: str) -> None:
    tx.run(delete(version_hold).where(version_hold.c.project_id == project_id, version_hold.c.holder == holder))
