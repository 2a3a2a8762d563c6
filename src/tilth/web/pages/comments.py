"""What people say about runs, models and versions: the part of their pages, its forms, and the page of mentions.

A page draws the part by `comments=await comments_part(access, thing, base)` and `{% include "parts/comments.html" %}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.comments import actions, queries
from tilth.domains.comments.types import Comment, Mention, Thing
from tilth.domains.identity import queries as identity
from tilth.domains.models import queries as models
from tilth.domains.models.queries.things import thing_of_model, thing_of_version
from tilth.domains.tracking.queries.things import thing_of_run
from tilth.guard import Access, AccessTo, Permission, Role, get, post
from tilth.web.pages.frame import Asked, back, curl, may, project_url, read_form, shell, with_query
from tilth.web.render import page

SHOWN = 100


@dataclass(frozen=True, slots=True)
class CommentLine:
    id: str
    author: str
    text: str
    created: int
    edited: int | None
    may_edit: bool
    may_delete: bool


@dataclass(frozen=True, slots=True)
class CommentsPart:
    """lines: the newest 100, oldest of them first. earlier: how many stand before them. base: address of the thing's page."""

    lines: list[CommentLine]
    earlier: int
    base: str
    forms: str
    may_write: bool


async def comments_part(access: Access[Any], thing: Thing, base: str) -> CommentsPart:
    """For the page of `thing`, whose address is `base`."""
    project = access.project

    def ask(tx: Tx) -> tuple[list[Comment], int]:
        found = queries.comments_of(tx, project.id, thing.kind, thing.id, limit=SHOWN)
        total = len(found) if len(found) < SHOWN else queries.count_comments(tx, project.id, thing.kind, thing.id)
        return found, total - len(found)

    found, earlier = await access.read(ask)
    may_write = may(access, Permission.COMMENT_WRITE)
    moderates = may_write and (access.principal.role_in(project.id) or Role.VIEWER) >= Role.MAINTAINER
    own = {comment.id for comment in found if may_write and comment.author_id == access.actor.id}
    lines = [CommentLine(c.id, c.author_name, c.text, c.created, c.edited, c.id in own, c.id in own or moderates) for c in found]
    return CommentsPart(lines, earlier, base, project_url(project.name, "comments"), may_write)


@post("/p/{project:str}/runs/{run_id:str}/comments", permission=Permission.COMMENT_WRITE)
async def comment_on_run(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    text, project = (await read_form(request)).text("text"), access.project
    await access.write(
        lambda tx: actions.add_comment(tx, access.principal, project.id, thing_of_run(tx, project.id, run_id), text)
    )
    return back(project_url(project.name, "runs", run_id), "commented")


@post("/p/{project:str}/models/{name:str}/comments", permission=Permission.COMMENT_WRITE)
async def comment_on_model(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    text, project = (await read_form(request)).text("text"), access.project
    await access.write(
        lambda tx: actions.add_comment(tx, access.principal, project.id, thing_of_model(tx, project.id, name), text)
    )
    return back(project_url(project.name, "models", name), "commented")


@post("/p/{project:str}/models/{name:str}/versions/{version:int}/comments", permission=Permission.COMMENT_WRITE)
async def comment_on_version(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    text, project = (await read_form(request)).text("text"), access.project
    await access.write(
        lambda tx: actions.add_comment(tx, access.principal, project.id, thing_of_version(tx, project.id, name, version), text)
    )
    return back(project_url(project.name, "models", name, "versions", version), "commented")


@get("/p/{project:str}/comments/{comment_id:str}", permission=Permission.PROJECT_READ)
async def show_comment(access: AccessTo[None], comment_id: FromPath[str]) -> Redirect:
    """Leads to where the comment stands."""

    def ask(tx: Tx) -> str:
        return _page_of(tx, access, queries.comment_by_id(tx, access.project.id, comment_id).thing)

    return Redirect(f"{await access.read(ask)}#comment-{comment_id}", status_code=303)


@post("/p/{project:str}/comments/{comment_id:str}/edit", permission=Permission.COMMENT_WRITE)
async def edit_comment(request: Asked, access: AccessTo[None], comment_id: FromPath[str]) -> Redirect:
    text = (await read_form(request)).text("text")

    def change(tx: Tx) -> str:
        return _page_of(tx, access, actions.edit_comment(tx, access.principal, access.project.id, comment_id, text).thing)

    return back(await access.write(change), "saved")


@post("/p/{project:str}/comments/{comment_id:str}/delete", permission=Permission.COMMENT_WRITE)
async def delete_comment(access: AccessTo[None], comment_id: FromPath[str]) -> Redirect:
    def change(tx: Tx) -> str:
        address = _page_of(tx, access, queries.comment_by_id(tx, access.project.id, comment_id).thing)
        actions.delete_comment(tx, access.principal, access.project.id, comment_id)
        return address

    return back(await access.write(change), "removed")


@get("/mentions", permission=Permission.SIGNED_IN)
async def mentions_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    inside, before = actions.inside(access.principal), request.query_params.get("before", "")

    def ask(tx: Tx) -> tuple[list[Mention], dict[str, str]]:
        found = queries.mentions_across_projects(tx, access.actor.id, inside, before=before, limit=SHOWN)
        return found, identity.names_of_projects(tx, [mention.comment.project_id for mention in found])

    found, names = await access.read(ask)
    rows = [
        {
            "project": names[mention.comment.project_id],
            "url": project_url(names[mention.comment.project_id], "comments", mention.comment.id),
            "comment": mention.comment,
            "seen": mention.seen,
        }
        for mention in found
    ]
    older = with_query("/mentions", before=found[-1].comment.id) if len(found) == SHOWN else ""
    frame = await shell(request, access, "mentions", [("Mentions", "")])
    return page("mentions.html", frame, mentions=rows, older=older, snippets=[("curl", curl("/api/v1/mentions"))])


@post("/mentions/seen", permission=Permission.SIGNED_IN)
async def see_mentions(request: Asked, access: AccessTo[None]) -> Redirect:
    comment_id = (await read_form(request)).text("comment_id")
    await access.write(lambda tx: actions.see_mentions(tx, access.principal, now(), comment_id))
    return back("/mentions", "read" if not comment_id else "")


routes: list[Any] = [
    comment_on_run,
    comment_on_model,
    comment_on_version,
    show_comment,
    edit_comment,
    delete_comment,
    mentions_page,
    see_mentions,
]


def _page_of(tx: Tx, access: Access[Any], thing: Thing) -> str:
    """Address of the page on which the comments of `thing` stand, by the name that it has today."""
    project = access.project
    if thing.kind == "run":
        return project_url(project.name, "runs", thing.id)
    model_id, _, number = thing.id.partition("/")
    model = project_url(project.name, "models", models.model_by_id(tx, project.id, model_id).name)
    return f"{model}/versions/{number}" if number else model
