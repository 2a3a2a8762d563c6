"""Adding, editing and deleting comments. Whether the thing exists, its own domain has looked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tilth.backends.sql import Tx
from tilth.core.clock import Millis, now
from tilth.core.ids import new_id
from tilth.domains.audit import actions as audit
from tilth.domains.comments import queries
from tilth.domains.comments.rules import checked_text, names_mentioned
from tilth.domains.comments.types import Comment, NotYourComment, Thing, ThingKind
from tilth.domains.identity import queries as identity
from tilth.guard import Principal, Role

MAX_LABEL_CHARS = 300


def add_comment(tx: Tx, author: Principal, project_id: str, thing: Thing, text: str) -> Comment:
    """Raises InvalidComment. Members of the project whose names stand behind `@` find it among their mentions."""
    actor, kept = author.actor, checked_text(text)
    thing = Thing(thing.kind, thing.id, thing.label[:MAX_LABEL_CHARS])
    made = Comment(new_id(), project_id, thing, actor.id, actor.name, kept, now(), None)
    row = {"id": made.id, "project_id": project_id, "author_id": actor.id, "author_name": actor.name, "text": kept}
    about = {"thing_kind": thing.kind, "thing_id": thing.id, "thing_label": thing.label}
    queries.add_comment(tx, {**row, **about, "created": made.created, "edited": None})
    queries.add_mentions(tx, project_id, made.id, _mentioned(tx, project_id, kept, actor.id))
    audit.record(
        tx, actor, "comment.created", project_id=project_id, thing=thing.id, detail={"comment": made.id, "on": thing.kind}
    )
    return made


def edit_comment(tx: Tx, author: Principal, project_id: str, comment_id: str, text: str) -> Comment:
    """Raises UnknownComment, NotYourComment, InvalidComment."""
    kept, found = checked_text(text), queries.comment_by_id(tx, project_id, comment_id)
    if found.author_id != author.actor.id:
        raise NotYourComment(f"this comment is {found.author_name}'s: only its author edits it; write one of your own")
    if kept == found.text:
        return found
    queries.change_comment(tx, project_id, comment_id, kept, now())
    before, after = queries.mentioned_in(tx, project_id, comment_id), _mentioned(tx, project_id, kept, author.actor.id)
    queries.drop_mentions(tx, project_id, comment_id, before - after)
    queries.add_mentions(tx, project_id, comment_id, after - before)
    audit.record(tx, author.actor, "comment.edited", project_id=project_id, thing=found.thing.id, detail={"comment": comment_id})
    return queries.comment_by_id(tx, project_id, comment_id)


def delete_comment(tx: Tx, caller: Principal, project_id: str, comment_id: str) -> None:
    """By its author, or by a maintainer of the project, whose role is read anew. Raises UnknownComment, NotYourComment."""
    found = queries.comment_by_id(tx, project_id, comment_id)
    role = identity.role_in_project(tx, project_id, caller.actor.id)
    if found.author_id != caller.actor.id and (role is None or role < Role.MAINTAINER):
        raise NotYourComment(f"this comment is {found.author_name}'s: only its author and maintainers of the project delete it")
    queries.drop_comment(tx, project_id, comment_id)
    detail = {"comment": comment_id, "by": found.author_name}
    audit.record(tx, caller.actor, "comment.deleted", project_id=project_id, thing=found.thing.id, detail=detail)


def forget_comments(tx: Tx, project_id: str, kind: ThingKind, thing_ids: Sequence[str]) -> int:
    """Of things that are deleted for good; whoever deletes them writes the audit row. Returns how many comments went."""
    return queries.drop_comments_of(tx, project_id, kind, thing_ids)


def see_mentions(tx: Tx, reader: Principal, at: Millis, comment_id: str = "") -> int:
    """Marks all mentions of the reader as seen, or the one of a comment."""
    return queries.see_mentions_across_projects(tx, reader.actor.id, inside(reader), at, comment_id)


def inside(reader: Principal) -> list[str]:
    """The projects whose comments the reader may see with this credential."""
    return [project_id for project_id in reader.roles if reader.role_in(project_id) is not None]


def _mentioned(tx: Tx, project_id: str, text: str, author_id: str) -> set[str]:
    """Members only: a name that belongs to nobody here is text, whoever else may have it."""
    names: Iterable[str] = names_mentioned(text)
    wanted = set(names)
    if not wanted:
        return set()
    members = identity.members_of(tx, project_id)
    return {member.principal_id for member in members if member.name in wanted and member.principal_id != author_id}
