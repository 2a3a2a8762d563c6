"""Documents of comments and mentions in our own API."""

from __future__ import annotations

import msgspec


class CommentView(msgspec.Struct, frozen=True):
    """text: Markdown. thing_id: of a run or model its id, of a version `<model id>/<number>`."""

    id: str
    thing_kind: str
    thing_id: str
    thing_label: str
    author: str
    text: str
    created: int
    edited: int | None


class CommentPage(msgspec.Struct, frozen=True):
    """The newest ones, oldest of them first. before: hand it back for the older page; None at the end."""

    comments: tuple[CommentView, ...]
    total: int
    before: str | None


class WriteComment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """text: Markdown; `@name` tells a member of the project."""

    text: str


class MentionView(msgspec.Struct, frozen=True):
    """A comment that names the caller."""

    project: str
    comment: CommentView
    seen: int | None


class MentionPage(msgspec.Struct, frozen=True):
    """Newest first. unseen: how many wait, counted to 100. before: hand it back for the older page; None at the end."""

    mentions: tuple[MentionView, ...]
    unseen: int
    before: str | None


class SeeMentions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """comment_id: of the one that was read; empty for all."""

    comment_id: str = ""


class MentionsSeen(msgspec.Struct, frozen=True):
    seen: int
