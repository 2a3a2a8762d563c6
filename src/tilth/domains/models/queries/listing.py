"""Registered models and versions in full, found by MLflow's filters or by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select

from tilth.backends.sql import Tx, compared
from tilth.domains.models.queries.matching import has_pair
from tilth.domains.models.rules.mlflow_filters import IS_PROMPT, Condition, Order, RegistryFilter
from tilth.domains.models.tables import (
    model_alias,
    model_version,
    model_version_tag,
    registered_model,
    registered_model_tag,
)
from tilth.domains.models.types import UnknownModel, UnknownVersion

AT_ONCE = 500
MAX_VERSIONS = 200_000


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with its words. model: its name. aliases: those that name it."""

    model_id: str
    model: str
    version: int
    logged_model_id: str | None
    run_id: str | None
    run_link: str
    source: str
    status: str
    status_message: str
    stage: str
    description: str
    created: int
    updated: int
    creator: str
    tags: dict[str, str]
    aliases: list[str]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A registered model with its words. latest: its newest version in each stage."""

    id: str
    name: str
    description: str
    created: int
    updated: int
    creator: str
    tags: dict[str, str]
    aliases: dict[str, int]
    latest: list[VersionRow]


def find_models(
    tx: Tx, project_id: str, wanted: RegistryFilter, order: Sequence[Order], *, limit: int, offset: int = 0
) -> list[ModelRow]:
    """At most `limit` models; ties are broken by name."""
    conditions = [registered_model.c.project_id == project_id, registered_model.c.deleted_at.is_(None)]
    conditions += [_model_condition(each) for each in wanted.conditions]
    if not wanted.prompts:
        conditions.append(~_is_prompt_model(registered_model.c.id))
    rows = tx.all(
        select(*registered_model.c)
        .where(*conditions)
        .order_by(*_order(registered_model.c, order), registered_model.c.name)
        .limit(limit)
        .offset(offset)
    )
    return _models(tx, project_id, rows)


def model_row(tx: Tx, project_id: str, name: str) -> ModelRow:
    """Raises UnknownModel."""
    row = tx.one(
        select(*registered_model.c).where(
            registered_model.c.project_id == project_id, registered_model.c.name == name, registered_model.c.deleted_at.is_(None)
        )
    )
    if row is None:
        raise UnknownModel(name)
    return _models(tx, project_id, [row])[0]


def find_versions(
    tx: Tx, project_id: str, wanted: RegistryFilter, order: Sequence[Order], *, limit: int, offset: int = 0
) -> list[VersionRow]:
    """At most `limit` versions; ties are broken by name and the higher number first."""
    conditions = [_version_condition(each) for each in wanted.conditions]
    if not wanted.prompts:
        prompt = has_pair(
            model_version_tag,
            IS_PROMPT,
            Condition("tag", IS_PROMPT, "=", "true"),
            model_version_tag.c.model_id == model_version.c.model_id,
        )
        conditions += [~_is_prompt_model(model_version.c.model_id), ~prompt]
    ordered = [*_version_order(order), registered_model.c.name, model_version.c.version.desc()]
    return _versions(tx, project_id, conditions, ordered, limit, offset)


def version_row(tx: Tx, project_id: str, name: str, version: int) -> VersionRow:
    """Raises UnknownVersion, also where there is no such model."""
    found = _versions(tx, project_id, [registered_model.c.name == name, model_version.c.version == version], [], 1, 0)
    if not found:
        raise UnknownVersion(name, version, None)
    return found[0]


def _models(tx: Tx, project_id: str, rows: Sequence[Any]) -> list[ModelRow]:
    ids = [row.id for row in rows]
    tags: dict[str, dict[str, str]] = {}
    aliases: dict[str, dict[str, int]] = {}
    latest: dict[str, list[VersionRow]] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        for row in tx.all(
            select(registered_model_tag.c.model_id, registered_model_tag.c.key, registered_model_tag.c.value)
            .where(registered_model_tag.c.project_id == project_id, registered_model_tag.c.model_id.in_(some))
            .order_by(registered_model_tag.c.key)
        ):
            tags.setdefault(row.model_id, {})[row.key] = row.value
        for row in tx.all(
            select(model_alias.c.model_id, model_alias.c.alias, model_alias.c.version)
            .where(model_alias.c.project_id == project_id, model_alias.c.model_id.in_(some))
            .order_by(model_alias.c.alias)
        ):
            aliases.setdefault(row.model_id, {})[row.alias] = row.version
        for version in _latest(tx, project_id, some):
            latest.setdefault(version.model_id, []).append(version)
    return [
        ModelRow(
            id=row.id,
            name=row.name,
            description=row.description,
            created=row.created,
            updated=row.updated,
            creator=row.creator_name,
            tags=tags.get(row.id, {}),
            aliases=aliases.get(row.id, {}),
            latest=latest.get(row.id, []),
        )
        for row in rows
    ]


def _latest(tx: Tx, project_id: str, model_ids: Sequence[str]) -> list[VersionRow]:
    """The newest version of each stage of each model."""
    newest = (
        select(model_version.c.model_id, func.max(model_version.c.version).label("version"))
        .where(
            model_version.c.project_id == project_id,
            model_version.c.model_id.in_(model_ids),
            model_version.c.deleted_at.is_(None),
        )
        .group_by(model_version.c.model_id, model_version.c.stage)
        .subquery()
    )
    among = (
        select(newest.c.version)
        .where(newest.c.model_id == model_version.c.model_id, newest.c.version == model_version.c.version)
        .exists()
    )
    conditions = [model_version.c.model_id.in_(model_ids), among]
    return _versions(tx, project_id, conditions, [model_version.c.model_id, model_version.c.version], 4 * AT_ONCE, 0)


def _versions(
    tx: Tx, project_id: str, conditions: Sequence[Any], order: Sequence[Any], limit: int, offset: int
) -> list[VersionRow]:
    rows = tx.all(
        select(*model_version.c, registered_model.c.name.label("model"))
        .join(registered_model, registered_model.c.id == model_version.c.model_id)
        .where(
            model_version.c.project_id == project_id,
            model_version.c.deleted_at.is_(None),
            registered_model.c.deleted_at.is_(None),
            *conditions,
        )
        .order_by(*order)
        .limit(min(limit, MAX_VERSIONS + 1))
        .offset(offset)
    )
    tags: dict[tuple[str, int], dict[str, str]] = {}
    aliases: dict[tuple[str, int], list[str]] = {}
    for start in range(0, len(rows), AT_ONCE // 2):
        some = [(row.model_id, row.version) for row in rows[start : start + AT_ONCE // 2]]
        _add_words(tx, project_id, some, tags, aliases)
    return [_version(row, tags, aliases) for row in rows]


def _add_words(
    tx: Tx,
    project_id: str,
    some: Sequence[tuple[str, int]],
    tags: dict[tuple[str, int], dict[str, str]],
    aliases: dict[tuple[str, int], list[str]],
) -> None:
    for row in tx.all(
        select(model_version_tag.c.model_id, model_version_tag.c.version, model_version_tag.c.key, model_version_tag.c.value)
        .where(model_version_tag.c.project_id == project_id, _one_of(model_version_tag, some))
        .order_by(model_version_tag.c.key)
    ):
        tags.setdefault((row.model_id, row.version), {})[row.key] = row.value
    for row in tx.all(
        select(model_alias.c.model_id, model_alias.c.version, model_alias.c.alias)
        .where(model_alias.c.project_id == project_id, _one_of(model_alias, some))
        .order_by(model_alias.c.alias)
    ):
        aliases.setdefault((row.model_id, row.version), []).append(row.alias)


def _one_of(table: Any, some: Sequence[tuple[str, int]]) -> Any:
    by_model: dict[str, list[int]] = {}
    for model_id, version in some:
        by_model.setdefault(model_id, []).append(version)
    return or_(*(and_(table.c.model_id == model_id, table.c.version.in_(versions)) for model_id, versions in by_model.items()))


def _version(row: Any, tags: dict[tuple[str, int], dict[str, str]], aliases: dict[tuple[str, int], list[str]]) -> VersionRow:
    key = (row.model_id, row.version)
    return VersionRow(
        model_id=row.model_id,
        model=row.model,
        version=row.version,
        logged_model_id=row.logged_model_id,
        run_id=row.run_id,
        run_link=row.run_link,
        source=row.source,
        status=row.status,
        status_message=row.status_message,
        stage=row.stage,
        description=row.description,
        created=row.created,
        updated=row.updated,
        creator=row.creator_name,
        tags=tags.get(key, {}),
        aliases=aliases.get(key, []),
    )


def _is_prompt_model(model_id: Any) -> Any:
    wanted = Condition("tag", IS_PROMPT, "=", "true")
    return has_pair(registered_model_tag, IS_PROMPT, wanted, registered_model_tag.c.model_id == model_id)


def _model_condition(each: Condition) -> Any:
    if each.entity == "tag":
        return has_pair(registered_model_tag, each.key, each, registered_model_tag.c.model_id == registered_model.c.id)
    return compared(registered_model.c[each.key], each.operator, each.value)


def _version_condition(each: Condition) -> Any:
    if each.entity == "tag":
        owner = (
            model_version_tag.c.model_id == model_version.c.model_id,
            model_version_tag.c.version == model_version.c.version,
        )
        return has_pair(model_version_tag, each.key, each, *owner)
    column = registered_model.c.name if each.key == "name" else model_version.c[each.key]
    return compared(column, each.operator, each.value)


def _version_order(order: Sequence[Order]) -> list[Any]:
    columns = {**{name: model_version.c[name] for name in ("version", "created", "updated")}, "name": registered_model.c.name}
    return _order(columns, order)


def _order(columns: Any, order: Sequence[Order]) -> list[Any]:
    return [columns[each.key].asc() if each.ascending else columns[each.key].desc() for each in order]
