"""Models and versions as the API and the pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from tilth.backends.sql import Tx, contains
from tilth.core.clock import Millis
from tilth.domains.models.queries import facts, logged, registry
from tilth.domains.models.queries.life import version_life
from tilth.domains.models.queries.logged import LoggedModel
from tilth.domains.models.queries.provenance import provenance_of
from tilth.domains.models.queries.registry import Hold, RegisteredModel
from tilth.domains.models.rules.card import CardFacts, Text, card_of, engine_of, warnings_of
from tilth.domains.models.rules.sources import files_elsewhere
from tilth.domains.models.tables import (
    card_field,
    model_alias,
    model_alias_move,
    model_version,
    model_version_tag,
    registered_model,
    registered_model_tag,
)
from tilth.wire.registry import AliasMove, Card, ModelDetail, ModelPage, ModelView, VersionDetail, VersionView

MAX_PAGE = 1000


def models_page(tx: Tx, project_id: str, *, search: str = "", limit: int = 100, offset: int = 0) -> ModelPage:
    """Registered models, last changed first; search: part of a name, case ignored. limit at most 1,000."""
    conditions = [registered_model.c.project_id == project_id, registered_model.c.deleted_at.is_(None)]
    if search:
        conditions.append(contains(registered_model.c.name, search))
    rows = tx.all(
        select(*_MODEL)
        .where(*conditions)
        .order_by(registered_model.c.updated.desc(), registered_model.c.id.desc())
        .limit(min(limit, MAX_PAGE))
        .offset(offset)
    )
    total = tx.scalar(select(func.count()).select_from(registered_model).where(*conditions))
    return ModelPage(_model_views(tx, project_id, rows), int(total))


def model_view(tx: Tx, project_id: str, name: str) -> ModelView:
    """Raises UnknownModel."""
    model = registry.model_by_name(tx, project_id, name)
    rows = tx.all(select(*_MODEL).where(registered_model.c.project_id == project_id, registered_model.c.id == model.id))
    return _model_views(tx, project_id, rows)[0]


def model_detail(tx: Tx, project_id: str, name: str, *, limit: int = 100, offset: int = 0) -> ModelDetail:
    """The model and its versions, newest first; limit at most 1,000. Raises UnknownModel."""
    model = registry.model_by_name(tx, project_id, name)
    conditions = (
        model_version.c.project_id == project_id,
        model_version.c.model_id == model.id,
        model_version.c.deleted_at.is_(None),
    )
    rows = tx.all(
        select(*model_version.c)
        .where(*conditions)
        .order_by(model_version.c.version.desc())
        .limit(min(limit, MAX_PAGE))
        .offset(offset)
    )
    total = tx.scalar(select(func.count()).select_from(model_version).where(*conditions))
    return ModelDetail(model_view(tx, project_id, name), _version_views(tx, model, rows), int(total))


def version_view(tx: Tx, project_id: str, name: str, version: int) -> VersionView:
    """Raises UnknownModel, UnknownVersion."""
    model = registry.model_by_name(tx, project_id, name)
    registry.version_of(tx, model, version)
    rows = tx.all(
        select(*model_version.c).where(
            model_version.c.project_id == project_id,
            model_version.c.model_id == model.id,
            model_version.c.version == version,
        )
    )
    return _version_views(tx, model, rows)[0]


def version_detail(tx: Tx, project_id: str, name: str, version: int) -> VersionDetail:
    """A version with its document, files, card and the moves of its aliases. Raises UnknownModel, UnknownVersion."""
    view = version_view(tx, project_id, name, version)
    model = registry.model_by_name(tx, project_id, name)
    return VersionDetail(
        version=view,
        logged_model=logged.logged_model_view(tx, project_id, view.logged_model_id) if view.logged_model_id else None,
        card=card(tx, project_id, name, version),
        alias_moves=[move for move in alias_moves(tx, model) if version in (move.previous, move.version)],
    )


def card(tx: Tx, project_id: str, name: str, version: int) -> Card:
    """Raises UnknownModel, UnknownVersion."""
    view = version_view(tx, project_id, name, version)
    model = registry.model_by_name(tx, project_id, name)
    source = logged.logged_model_by_id(tx, project_id, view.logged_model_id) if view.logged_model_id else None
    return card_of(
        CardFacts(
            model=name,
            version=version,
            description=view.description or model.description,
            created=Millis(view.created),
            creator=view.creator,
            source=view.source,
            logged_model_id=view.logged_model_id,
            manifest_digest=view.manifest_digest,
            size=source.size if source else 0,
            params=logged.params_of(tx, project_id, source.id) if source else {},
            document=source.document if source else None,
            run=facts.run_facts(tx, project_id, view.run_id),
            texts=_texts(tx, model, version),
            tags={**model_view(tx, project_id, name).tags, **view.tags},
            life=version_life(tx, project_id, name, version),
            provenance=provenance_of(tx, project_id, source.id) if source else None,
        )
    )


def alias_moves(tx: Tx, model: RegisteredModel, limit: int = 200) -> list[AliasMove]:
    """Moves of all aliases of the model, newest first."""
    rows = tx.all(
        select(
            model_alias_move.c.alias,
            model_alias_move.c.previous,
            model_alias_move.c.version,
            model_alias_move.c.moved,
            model_alias_move.c.actor_name,
        )
        .where(model_alias_move.c.project_id == model.project_id, model_alias_move.c.model_id == model.id)
        .order_by(model_alias_move.c.id.desc())
        .limit(min(limit, MAX_PAGE))
    )
    return [AliasMove(row.alias, row.previous, row.version, row.moved, row.actor_name) for row in rows]


_MODEL = (
    registered_model.c.id,
    registered_model.c.name,
    registered_model.c.description,
    registered_model.c.created,
    registered_model.c.updated,
    registered_model.c.creator_name,
)


def _model_views(tx: Tx, project_id: str, rows: Sequence[Any]) -> list[ModelView]:
    ids = [row.id for row in rows]
    counts = {
        row.model_id: (row.newest, row.versions)
        for row in tx.all(
            select(
                model_version.c.model_id,
                func.max(model_version.c.version).label("newest"),
                func.count().label("versions"),
            )
            .where(
                model_version.c.project_id == project_id,
                model_version.c.model_id.in_(ids),
                model_version.c.deleted_at.is_(None),
            )
            .group_by(model_version.c.model_id)
        )
    }
    aliases = _aliases(tx, project_id, ids)
    tags = _grouped(
        tx.all(
            select(registered_model_tag.c.model_id, registered_model_tag.c.key, registered_model_tag.c.value)
            .where(registered_model_tag.c.project_id == project_id, registered_model_tag.c.model_id.in_(ids))
            .order_by(registered_model_tag.c.key)
        ),
        lambda row: row.model_id,
    )
    return [
        ModelView(
            name=row.name,
            description=row.description,
            created=row.created,
            updated=row.updated,
            creator=row.creator_name,
            newest=counts.get(row.id, (None, 0))[0],
            versions=counts.get(row.id, (None, 0))[1],
            aliases=aliases.get(row.id, {}),
            tags=tags.get(row.id, {}),
        )
        for row in rows
    ]


def _aliases(tx: Tx, project_id: str, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in tx.all(
        select(model_alias.c.model_id, model_alias.c.alias, model_alias.c.version)
        .where(model_alias.c.project_id == project_id, model_alias.c.model_id.in_(ids))
        .order_by(model_alias.c.alias)
    ):
        found.setdefault(row.model_id, {})[row.alias] = row.version
    return found


def _grouped(rows: Iterable[Any], key: Any) -> dict[Any, dict[str, str]]:
    found: dict[Any, dict[str, str]] = {}
    for row in rows:
        found.setdefault(key(row), {})[row.key] = row.value
    return found


def _version_views(tx: Tx, model: RegisteredModel, rows: Sequence[Any]) -> list[VersionView]:
    sources = logged.logged_models_by_ids(tx, model.project_id, [row.logged_model_id for row in rows if row.logged_model_id])
    aliases = registry.aliases_of(tx, model)
    holds = registry.holds_on(tx, model)
    tags = _grouped(
        tx.all(
            select(model_version_tag.c.version, model_version_tag.c.key, model_version_tag.c.value)
            .where(
                model_version_tag.c.project_id == model.project_id,
                model_version_tag.c.model_id == model.id,
                model_version_tag.c.version.in_([row.version for row in rows]),
            )
            .order_by(model_version_tag.c.key)
        ),
        lambda row: row.version,
    )
    return [
        _version_view(model, row, sources.get(row.logged_model_id or ""), aliases, holds, tags.get(row.version, {}))
        for row in rows
    ]


def _version_view(
    model: RegisteredModel,
    row: Any,
    source: LoggedModel | None,
    aliases: Mapping[str, int],
    holds: Sequence[Hold],
    tags: dict[str, str],
) -> VersionView:
    document, barred = (source.document, source.barred) if source else (None, None)
    return VersionView(
        model=model.name,
        version=row.version,
        logged_model_id=row.logged_model_id,
        manifest_digest=row.manifest_digest,
        source=row.source,
        run_id=row.run_id,
        status=row.status,
        stage=row.stage,
        description=row.description,
        created=row.created,
        updated=row.updated,
        creator=row.creator_name,
        aliases=[alias for alias, version in aliases.items() if version == row.version],
        tags=tags,
        flavour=source.flavour if source else "",
        size=source.size if source else 0,
        engine=engine_of(document),
        unservable=_unservable(row, source),
        # What an imported model lacks is said by why it cannot be served.
        warnings=warnings_of(document) if row.logged_model_id is not None and (document or not barred) else [],
        in_use_by=[hold.label for hold in holds if hold.version == row.version],
        compiled=list(document.compiled) if document else [],
    )


def _unservable(row: Any, source: LoggedModel | None) -> str:
    if row.logged_model_id is None:
        return files_elsewhere(row.source)
    return source.unservable if source is not None else "its logged model was deleted"


def _texts(tx: Tx, model: RegisteredModel, version: int) -> dict[str, Text]:
    rows = tx.all(
        select(card_field.c.field, card_field.c.text, card_field.c.updated, card_field.c.author_name).where(
            card_field.c.project_id == model.project_id, card_field.c.model_id == model.id, card_field.c.version == version
        )
    )
    return {row.field: Text(row.text, row.updated, row.author_name) for row in rows}
