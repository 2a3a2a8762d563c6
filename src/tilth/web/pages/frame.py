"""What all pages share: the shell around them, forms, and going back to a page after a form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from litestar import Request
from litestar.response import Redirect

from tilth.core.errors import Invalid, TooLarge
from tilth.domains.comments import queries as comments
from tilth.domains.identity import queries as identity
from tilth.guard import Access, Permission
from tilth.web.render import Crumb, Notice, Shell

Asked = Request[Any, Any, Any]
MAX_FORM_BYTES = 1_000_000
MOST_IN_A_FIELD = 1e15
PAGE_ROWS = 100

DONE = {
    "saved": "Saved.",
    "created": "Created.",
    "restored": "Restored.",
    "revoked": "Revoked. Programs that use it are refused within 5 seconds.",
    "removed": "Removed.",
    "trashed": "Deleted. It lies in the trash: tilth trash restore takes it back.",
    "password": "Your password is changed. Other browsers are signed out.",
    "ended": "That browser is signed out.",
    "commented": "Your comment is there.",
    "read": "All mentions are marked as read.",
    "alias": "The alias is set.",
    "sent": "On its way. Reload in a moment to see what came of it.",
    "stopping": "Stopping. The program that runs it obeys within seconds.",
    "rolling": "The rollout began. The first verdict comes within seconds.",
    "deploying": "Deploying. The model servers acknowledge the new generation below.",
}
"""What a form may say on the page that follows. Only these words travel in the address, so a link cannot put words in Tilth's mouth."""


class MalformedForm(Invalid):
    """A form that did not come as our own pages send it."""


class NotANumber(Invalid):
    """A field of a form that must be a number is none."""


class FormTooLarge(TooLarge):
    def __init__(self) -> None:
        super().__init__(f"this form is larger than {MAX_FORM_BYTES:,} bytes: shorten the text, or log it as an artifact")


class Form:
    """The fields of a submitted form."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Trimmed; empty when the field is not there. Browsers send line ends as CR LF; Tilth keeps LF."""
        return (self._fields.get(name) or [""])[-1].replace("\r\n", "\n").strip()

    def exact(self, name: str) -> str:
        """As it was typed: a blank may be part of a password."""
        return (self._fields.get(name) or [""])[-1]

    def number(self, name: str, otherwise: str = "") -> float:
        """otherwise: what an empty field means. A decimal comma is one, too. Raises NotANumber."""
        text = self.text(name) or otherwise
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = float("nan")
        if not abs(value) < MOST_IN_A_FIELD:
            raise NotANumber(f"{text[:40]!r} is no number; write digits, such as 50 or 0.02")
        return value

    def many(self, name: str) -> list[str]:
        return self._fields.get(name, [])

    def has(self, name: str) -> bool:
        return name in self._fields


async def read_form(request: Asked, *, most_fields: int = 200) -> Form:
    """Raises MalformedForm, FormTooLarge."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise MalformedForm(
            "this address takes a form as browsers send it (application/x-www-form-urlencoded); programs use /api/v1"
        )
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            raise FormTooLarge
    try:
        return Form(parse_qs(body.decode(), keep_blank_values=True, max_num_fields=most_fields))
    except ValueError as error:
        raise MalformedForm(f"this form cannot be read: {error}") from None


def back(url: str, done: str = "") -> Redirect:
    """To the page that shows what the form changed; a reload of it sends nothing again."""
    return Redirect(f"{url}{'&' if '?' in url else '?'}{urlencode({'done': done})}" if done else url, status_code=303)


async def shell(
    request: Asked, access: Access[Any], active: str, crumbs: Sequence[tuple[str, str]], *, search: str = ""
) -> Shell:
    """The navigation and the head of a page for this reader. crumbs: (label, address) below the project."""
    principal = access.principal
    ids = [id_ for id_ in principal.roles if principal.role_in(id_) is not None]
    reader = principal.actor.id
    projects, unseen = await access.read(
        lambda tx: (identity.projects_of(tx, ids), comments.count_unseen_across_projects(tx, reader, ids))
    )
    here = access.scope or principal.default_project
    project = here.name if here is not None else None
    trail = [Crumb(access.scope.name, project_url(access.scope.name))] if access.scope is not None else []
    done = DONE.get(request.query_params.get("done", ""))
    return Shell(
        who=principal.actor.name,
        crumbs=[*trail, *(Crumb(label, url) for label, url in crumbs)],
        active=active,
        project=project,
        projects=[known.name for known in projects if known.archived is None],
        search=search,
        notice=Notice(done) if done else None,
        by_session=principal.by_cookie,
        mentions=unseen,
        sees_users=principal.may(Permission.USER_READ),
        sees_audit=here is not None and principal.may(Permission.AUDIT_READ, here.id),
        sees_webhooks=here is not None and principal.may(Permission.WEBHOOK_READ, here.id),
    )


def read_offset(request: Asked) -> int:
    """Of `?from=`: how many rows stand on the pages before; 0 for anything that is no such number."""
    return read_whole(request, "from", 0)


def read_whole(request: Asked, name: str, otherwise: int) -> int:
    """A whole number below ten million from the address, or `otherwise` for anything else."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else otherwise


def project_url(name: str, *parts: str | int) -> str:
    """`/p/<project>/<part>/...`, each part encoded as one segment."""
    return "/".join(["/p", quote(name, safe=""), *(quote(str(part), safe="") for part in parts)])


def may(access: Access[Any], permission: Permission) -> bool:
    """Whether a form for it is shown at all; the route behind the form asks again."""
    return access.principal.may(permission, access.scope.id if access.scope is not None else None)


def with_query(base: str, **values: str | int | None) -> str:
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return f"{base}?{urlencode(kept)}" if kept else base


def curl(path: str) -> str:
    return f'curl -H "Authorization: Bearer $TILTH_TOKEN" "$TILTH_URL{path}"'
