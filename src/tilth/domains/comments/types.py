"""Comments and mentions as values, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tilth.core.clock import Millis
from tilth.core.errors import Denied, Invalid, NotFound

ThingKind = Literal["run", "model", "version"]


@dataclass(frozen=True, slots=True)
class Thing:
    """What is talked about. id: of a run or model its id, of a version `<model id>/<number>`. label: what it is called just now."""

    kind: ThingKind
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    project_id: str
    thing: Thing
    author_id: str
    author_name: str
    text: str
    created: Millis
    edited: Millis | None


@dataclass(frozen=True, slots=True)
class Mention:
    """A comment that names the reader. seen: when the reader said to have read it."""

    comment: Comment
    seen: Millis | None


class UnknownComment(NotFound):
    def __init__(self, comment_id: str) -> None:
        super().__init__(f"no comment {comment_id[:40]!r} in this project; perhaps somebody deleted it")


class InvalidComment(Invalid):
    """A comment without text, or with too much of it."""


class NotYourComment(Denied):
    """Only its author edits a comment; its author and maintainers delete it."""
