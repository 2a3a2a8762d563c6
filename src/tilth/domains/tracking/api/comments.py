"""Comments on runs."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.domains.comments import actions as comments
from tilth.domains.comments import queries as said
from tilth.domains.tracking.queries.things import thing_of_run
from tilth.guard import AccessTo, Permission, get, post
from tilth.wire.comments import CommentPage, CommentView, WriteComment

PATH = "/api/v1/p/{project:str}/runs/{run_id:str}/comments"


@get(PATH, permission=Permission.RUN_READ)
async def list_comments(access: AccessTo[None], run_id: FromPath[str], before: FromQuery[str] = "") -> CommentPage:
    def ask(tx: Tx) -> CommentPage:
        thing = thing_of_run(tx, access.project.id, run_id)
        return said.page_of(tx, access.project.id, thing.kind, thing.id, before)

    return await access.read(ask)


@post(PATH, permission=Permission.COMMENT_WRITE)
async def add_comment(access: AccessTo[None], run_id: FromPath[str], data: JSONBody[WriteComment]) -> CommentView:
    def add(tx: Tx) -> CommentView:
        thing = thing_of_run(tx, access.project.id, run_id)
        return said.view_of(comments.add_comment(tx, access.principal, access.project.id, thing, data.text))

    return await access.write(add)


routes = [list_comments, add_comment]
