"""Comments on models and on their versions."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.domains.comments import actions as comments
from tilth.domains.comments import queries as said
from tilth.domains.comments.types import Thing
from tilth.domains.models.queries.things import thing_of_model, thing_of_version
from tilth.guard import AccessTo, Permission, get, post
from tilth.wire.comments import CommentPage, CommentView, WriteComment

MODEL = "/api/v1/p/{project:str}/models/{name:str}/comments"
VERSION = "/api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/comments"


@get(MODEL, permission=Permission.MODEL_READ)
async def list_model_comments(access: AccessTo[None], name: FromPath[str], before: FromQuery[str] = "") -> CommentPage:
    return await access.read(lambda tx: _page(tx, access.project.id, thing_of_model(tx, access.project.id, name), before))


@post(MODEL, permission=Permission.COMMENT_WRITE)
async def comment_on_model(access: AccessTo[None], name: FromPath[str], data: JSONBody[WriteComment]) -> CommentView:
    def add(tx: Tx) -> CommentView:
        thing = thing_of_model(tx, access.project.id, name)
        return said.view_of(comments.add_comment(tx, access.principal, access.project.id, thing, data.text))

    return await access.write(add)


@get(VERSION, permission=Permission.MODEL_READ)
async def list_version_comments(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], before: FromQuery[str] = ""
) -> CommentPage:
    return await access.read(
        lambda tx: _page(tx, access.project.id, thing_of_version(tx, access.project.id, name, version), before)
    )


@post(VERSION, permission=Permission.COMMENT_WRITE)
async def comment_on_version(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[WriteComment]
) -> CommentView:
    def add(tx: Tx) -> CommentView:
        thing = thing_of_version(tx, access.project.id, name, version)
        return said.view_of(comments.add_comment(tx, access.principal, access.project.id, thing, data.text))

    return await access.write(add)


routes = [list_model_comments, comment_on_model, list_version_comments, comment_on_version]


def _page(tx: Tx, project_id: str, thing: Thing, before: str) -> CommentPage:
    return said.page_of(tx, project_id, thing.kind, thing.id, before)
