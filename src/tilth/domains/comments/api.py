"""Our own API of comments once they are there, and of the caller's mentions. Things take and list theirs at their own addresses."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.comments import actions, queries
from tilth.domains.identity import queries as identity
from tilth.guard import AccessTo, Permission, delete, get, patch, post
from tilth.wire.comments import CommentView, MentionPage, MentionsSeen, MentionView, SeeMentions, WriteComment

PAGE = 100


@patch("/api/v1/p/{project:str}/comments/{comment_id:str}", permission=Permission.COMMENT_WRITE)
async def edit_comment(access: AccessTo[None], comment_id: FromPath[str], data: JSONBody[WriteComment]) -> CommentView:
    """By its author."""
    project_id = access.project.id
    return queries.view_of(
        await access.write(lambda tx: actions.edit_comment(tx, access.principal, project_id, comment_id, data.text))
    )


@delete("/api/v1/p/{project:str}/comments/{comment_id:str}", permission=Permission.COMMENT_WRITE)
async def delete_comment(access: AccessTo[None], comment_id: FromPath[str]) -> None:
    """By its author or a maintainer."""
    await access.write(lambda tx: actions.delete_comment(tx, access.principal, access.project.id, comment_id))


@get("/api/v1/mentions", permission=Permission.SIGNED_IN)
async def list_mentions(access: AccessTo[None], before: FromQuery[str] = "") -> MentionPage:
    """Comments that name the caller, in the projects that the caller belongs to now."""
    inside, reader = actions.inside(access.principal), access.actor.id

    def ask(tx: Tx) -> MentionPage:
        found = queries.mentions_across_projects(tx, reader, inside, before=before, limit=PAGE)
        names = identity.names_of_projects(tx, [mention.comment.project_id for mention in found])
        views = [MentionView(names[m.comment.project_id], queries.view_of(m.comment), m.seen) for m in found]
        older = found[-1].comment.id if len(found) == PAGE else None
        return MentionPage(tuple(views), queries.count_unseen_across_projects(tx, reader, inside), older)

    return await access.read(ask)


@post("/api/v1/mentions/seen", permission=Permission.SIGNED_IN, status_code=200)
async def see_mentions(access: AccessTo[None], data: JSONBody[SeeMentions]) -> MentionsSeen:
    return MentionsSeen(await access.write(lambda tx: actions.see_mentions(tx, access.principal, now(), data.comment_id)))


routes = [edit_comment, delete_comment, list_mentions, see_mentions]
