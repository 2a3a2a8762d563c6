"""Our own API of registered models, versions, aliases and cards."""

from __future__ import annotations

from litestar import Response
from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.paging import page_start
from tilth.domains.models import actions, queries
from tilth.domains.models.rules.card_text import markdown
from tilth.guard import AccessTo, Permission, delete, get, patch, post, put
from tilth.wire.registry import (
    Card,
    ChangeModel,
    ChangeVersion,
    CreateModel,
    FillCard,
    ModelDetail,
    ModelPage,
    ModelView,
    RegisterVersion,
    SetAlias,
    VersionDetail,
    VersionView,
)

BASE = "/api/v1/p/{project:str}/models"
MODEL = BASE + "/{name:str}"
VERSION = MODEL + "/versions/{version:int}"


@get(BASE, permission=Permission.MODEL_READ)
async def list_models(
    access: AccessTo[None], search: FromQuery[str] = "", limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> ModelPage:
    """Last changed first. search: part of a name."""
    project_id = access.project.id
    return await access.read(
        lambda tx: queries.models_page(tx, project_id, search=search, limit=max(1, limit), offset=page_start(offset))
    )


@post(BASE, permission=Permission.MODEL_WRITE)
async def create_model(access: AccessTo[None], data: JSONBody[CreateModel]) -> ModelView:
    project_id = access.project.id

    def write(tx: Tx) -> ModelView:
        actions.create_model(tx, access.actor, project_id, data.name, description=data.description, tags=data.tags)
        return queries.model_view(tx, project_id, data.name)

    return await access.write(write)


@get(MODEL, permission=Permission.MODEL_READ)
async def read_model(
    access: AccessTo[None], name: FromPath[str], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> ModelDetail:
    """The model and its versions, newest first."""
    project_id = access.project.id
    return await access.read(
        lambda tx: queries.model_detail(tx, project_id, name, limit=max(1, limit), offset=page_start(offset))
    )


@patch(MODEL, permission=Permission.MODEL_WRITE)
async def change_model(access: AccessTo[None], name: FromPath[str], data: JSONBody[ChangeModel]) -> ModelView:
    project_id = access.project.id
    may_loosen = access.principal.may(Permission.GATE_RELAX, project_id)

    def write(tx: Tx) -> ModelView:
        model = actions.change_model(
            tx,
            access.actor,
            project_id,
            name,
            new_name=data.name,
            description=data.description,
            tags=data.tags,
            may_loosen=may_loosen,
        )
        return queries.model_view(tx, project_id, model.name)

    return await access.write(write)


@delete(MODEL, permission=Permission.MODEL_DELETE)
async def delete_model(access: AccessTo[None], name: FromPath[str]) -> None:
    """Hides it; POST .../restore brings it back."""
    may_loosen = access.principal.may(Permission.GATE_RELAX, access.project.id)
    await access.write(lambda tx: actions.delete_model(tx, access.actor, access.project.id, name, may_loosen=may_loosen))


@post(MODEL + "/restore", permission=Permission.MODEL_DELETE, status_code=200)
async def restore_model(access: AccessTo[None], name: FromPath[str]) -> ModelView:
    project_id = access.project.id

    def write(tx: Tx) -> ModelView:
        actions.restore_model(tx, access.actor, project_id, name)
        return queries.model_view(tx, project_id, name)

    return await access.write(write)


@post(MODEL + "/versions", permission=Permission.MODEL_WRITE)
async def register_version(access: AccessTo[None], name: FromPath[str], data: JSONBody[RegisterVersion]) -> VersionView:
    """The next version; the model is made where there is none of that name."""
    project_id = access.project.id

    def write(tx: Tx) -> VersionView:
        version = actions.register_version(
            tx, access.actor, project_id, name, data.logged_model_id, description=data.description, tags=data.tags
        )
        return queries.version_view(tx, project_id, name, version.version)

    return await access.write(write)


@get(VERSION, permission=Permission.MODEL_READ)
async def read_version(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> VersionDetail:
    return await access.read(lambda tx: queries.version_detail(tx, access.project.id, name, version))


@patch(VERSION, permission=Permission.MODEL_WRITE)
async def change_version(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[ChangeVersion]
) -> VersionView:
    project_id = access.project.id

    def write(tx: Tx) -> VersionView:
        actions.change_version(tx, access.actor, project_id, name, version, description=data.description, tags=data.tags)
        return queries.version_view(tx, project_id, name, version)

    return await access.write(write)


@delete(VERSION, permission=Permission.MODEL_DELETE)
async def delete_version(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> None:
    """Hides it; POST .../restore brings it back. Refused while an alias or a deployment names it."""
    await access.write(lambda tx: actions.delete_version(tx, access.actor, access.project.id, name, version))


@post(VERSION + "/restore", permission=Permission.MODEL_DELETE, status_code=200)
async def restore_version(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> VersionView:
    project_id = access.project.id

    def write(tx: Tx) -> VersionView:
        actions.restore_version(tx, access.actor, project_id, name, version)
        return queries.version_view(tx, project_id, name, version)

    return await access.write(write)


@get(VERSION + "/card", permission=Permission.MODEL_READ)
async def read_card(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Card:
    return await access.read(lambda tx: queries.card(tx, access.project.id, name, version))


@get(VERSION + "/card.md", permission=Permission.MODEL_READ)
async def read_card_as_markdown(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Response[str]:
    card = await access.read(lambda tx: queries.card(tx, access.project.id, name, version))
    return Response(markdown(card), media_type="text/markdown; charset=utf-8", headers={"x-content-type-options": "nosniff"})


@put(VERSION + "/card", permission=Permission.MODEL_WRITE)
async def fill_card(access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[FillCard]) -> Card:
    """Fills the fields that only a person can; those not named stay."""
    project_id = access.project.id

    def write(tx: Tx) -> Card:
        actions.fill_card(tx, access.actor, project_id, name, version, data.fields)
        return queries.card(tx, project_id, name, version)

    return await access.write(write)


@get(MODEL + "/aliases/{alias:str}", permission=Permission.MODEL_READ)
async def read_alias(access: AccessTo[None], name: FromPath[str], alias: FromPath[str]) -> VersionView:
    """The version that the alias names; `latest` and `v<number>` work, too."""
    project_id = access.project.id

    def read(tx: Tx) -> VersionView:
        return queries.version_view(tx, project_id, name, queries.resolve(tx, project_id, name, alias=alias).version)

    return await access.read(read)


@put(MODEL + "/aliases/{alias:str}", permission=Permission.ALIAS_SET)
async def set_alias(access: AccessTo[None], name: FromPath[str], alias: FromPath[str], data: JSONBody[SetAlias]) -> ModelView:
    """Deployments that follow the alias move with it."""
    project_id = access.project.id

    def write(tx: Tx) -> ModelView:
        actions.set_alias(tx, access.actor, project_id, name, alias, data.version, expected=data.expected)
        return queries.model_view(tx, project_id, name)

    return await access.write(write)


@delete(MODEL + "/aliases/{alias:str}", permission=Permission.ALIAS_SET)
async def remove_alias(access: AccessTo[None], name: FromPath[str], alias: FromPath[str]) -> None:
    await access.write(lambda tx: actions.remove_alias(tx, access.actor, access.project.id, name, alias))


routes = [
    list_models,
    create_model,
    read_model,
    change_model,
    delete_model,
    restore_model,
    register_version,
    read_version,
    change_version,
    delete_version,
    restore_version,
    read_card,
    read_card_as_markdown,
    fill_card,
    read_alias,
    set_alias,
    remove_alias,
]
