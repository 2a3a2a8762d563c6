"""Comments of a thing, and the mentions of a reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from tilth.backends.sql import Tx, hot
from tilth.core.clock import Millis
from tilth.domains.comments.tables import comment, mention
from tilth.domains.comments.types import Comment, Mention, Thing, ThingKind, UnknownComment
from tilth.wire.comments import CommentPage, CommentView

PAGE = 200
MAX_PROJECTS = 1000
SHOWN_UNSEEN = 100
THINGS_AT_ONCE = 500

_COLUMNS = [
    comment.c[name]
    for name in (
        "id",
        "project_id",
        "thing_kind",
        "thing_id",
        "thing_label",
        "author_id",
        "author_name",
        "text",
        "created",
        "edited",
    )
]


def comments_of(tx: Tx, project_id: str, kind: ThingKind, thing_id: str, *, before: str = "", limit: int = PAGE) -> list[Comment]:
    """The newest `limit` (at most 200), oldest of them first. before: id of a comment; only older ones."""
    conditions = [comment.c.project_id == project_id, comment.c.thing_kind == kind, comment.c.thing_id == thing_id]
    if before:
        conditions.append(comment.c.id < before)
    rows = tx.all(select(*_COLUMNS).where(*conditions).order_by(comment.c.id.desc()).limit(min(limit, PAGE)))
    return [_comment(row) for row in reversed(rows)]


def count_comments(tx: Tx, project_id: str, kind: ThingKind, thing_id: str) -> int:
    conditions = (comment.c.project_id == project_id, comment.c.thing_kind == kind, comment.c.thing_id == thing_id)
    return int(tx.scalar(select(func.count()).select_from(comment).where(*conditions)))


def comment_by_id(tx: Tx, project_id: str, comment_id: str) -> Comment:
    """Raises UnknownComment."""
    row = tx.one(select(*_COLUMNS).where(comment.c.project_id == project_id, comment.c.id == comment_id))
    if row is None:
        raise UnknownComment(comment_id)
    return _comment(row)


def mentions_across_projects(
    tx: Tx, principal_id: str, project_ids: Iterable[str], *, before: str = "", limit: int = 100
) -> list[Mention]:
    """Of one reader in the projects that he belongs to now, newest first; at most 200. before: id of a comment."""
    conditions = [mention.c.principal_id == principal_id, mention.c.project_id.in_(list(project_ids)[:MAX_PROJECTS])]
    if before:
        conditions.append(mention.c.comment_id < before)
    rows = tx.all(
        select(*_COLUMNS, mention.c.seen)
        .join(comment, comment.c.id == mention.c.comment_id)
        .where(*conditions)
        .order_by(mention.c.comment_id.desc())
        .limit(min(limit, PAGE))
    )
    return [Mention(_comment(row), row.seen) for row in rows]


_UNSEEN = hot(
    select(mention.c.project_id)
    .where(mention.c.principal_id == bindparam("principal_id"), mention.c.seen.is_(None))
    .limit(SHOWN_UNSEEN)
)


def count_unseen_across_projects(tx: Tx, principal_id: str, project_ids: Iterable[str]) -> int:
    """Mentions that the reader has not seen, in the projects that he belongs to now; counts to 100."""
    inside = set(project_ids)
    return sum(row.project_id in inside for row in tx.all(_UNSEEN, principal_id=principal_id))


def mentioned_in(tx: Tx, project_id: str, comment_id: str) -> set[str]:
    """Ids of the principals."""
    rows = tx.all(
        select(mention.c.principal_id).where(mention.c.project_id == project_id, mention.c.comment_id == comment_id).limit(PAGE)
    )
    return {row.principal_id for row in rows}


def add_comment(tx: Tx, row: dict[str, Any]) -> None:
    tx.run(insert(comment), **row)


def change_comment(tx: Tx, project_id: str, comment_id: str, text: str, edited: Millis) -> None:
    where = (comment.c.project_id == project_id, comment.c.id == comment_id)
    tx.run(update(comment).where(*where).values(text=text, edited=edited))


def drop_comment(tx: Tx, project_id: str, comment_id: str) -> None:
    tx.run(delete(mention).where(mention.c.project_id == project_id, mention.c.comment_id == comment_id))
    tx.run(delete(comment).where(comment.c.project_id == project_id, comment.c.id == comment_id))


def drop_comments_of(tx: Tx, project_id: str, kind: ThingKind, thing_ids: Sequence[str]) -> int:
    """All about these things, with their mentions. Returns how many comments."""
    gone = 0
    for start in range(0, len(thing_ids), THINGS_AT_ONCE):
        some = list(thing_ids[start : start + THINGS_AT_ONCE])
        about = (comment.c.project_id == project_id, comment.c.thing_kind == kind, comment.c.thing_id.in_(some))
        tx.run(delete(mention).where(mention.c.comment_id.in_(select(comment.c.id).where(*about))))
        gone += tx.run(delete(comment).where(*about))
    return gone


def add_mentions(tx: Tx, project_id: str, comment_id: str, principal_ids: Iterable[str]) -> None:
    rows = [
        {"comment_id": comment_id, "principal_id": principal_id, "project_id": project_id, "seen": None}
        for principal_id in sorted(principal_ids)
    ]
    tx.many(insert(mention), rows)


def drop_mentions(tx: Tx, project_id: str, comment_id: str, principal_ids: Iterable[str]) -> None:
    where = (mention.c.project_id == project_id, mention.c.comment_id == comment_id)
    tx.run(delete(mention).where(*where, mention.c.principal_id.in_(sorted(principal_ids))))


def see_mentions_across_projects(tx: Tx, principal_id: str, project_ids: Iterable[str], at: Millis, comment_id: str = "") -> int:
    """Marks them as seen: all of the reader's in these projects, or the one of a comment. Returns how many."""
    conditions = [
        mention.c.principal_id == principal_id,
        mention.c.project_id.in_(list(project_ids)[:MAX_PROJECTS]),
        mention.c.seen.is_(None),
    ]
    if comment_id:
        conditions.append(mention.c.comment_id == comment_id)
    return tx.run(update(mention).where(*conditions).values(seen=at))


def page_of(tx: Tx, project_id: str, kind: ThingKind, thing_id: str, before: str = "", limit: int = PAGE) -> CommentPage:
    """What the API answers for a thing."""
    found = comments_of(tx, project_id, kind, thing_id, before=before, limit=limit)
    older = found[0].id if len(found) == min(limit, PAGE) else None
    return CommentPage(tuple(view_of(one) for one in found), count_comments(tx, project_id, kind, thing_id), older)


def view_of(found: Comment) -> CommentView:
    return CommentView(
        id=found.id,
        thing_kind=found.thing.kind,
        thing_id=found.thing.id,
        thing_label=found.thing.label,
        author=found.author_name,
        text=found.text,
        created=found.created,
        edited=found.edited,
    )


def _comment(row: Any) -> Comment:
    return Comment(
        id=row.id,
        project_id=row.project_id,
        thing=Thing(row.thing_kind, row.thing_id, row.thing_label),
        author_id=row.author_id,
        author_name=row.author_name,
        text=row.text,
        created=row.created,
        edited=row.edited,
    )
