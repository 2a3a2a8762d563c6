"""Our own API of the audit trail."""

from __future__ import annotations

from litestar.params import FromQuery

from tilth.core.clock import Millis
from tilth.core.errors import Invalid
from tilth.domains.audit import queries
from tilth.domains.audit.types import AuditEvent
from tilth.guard import AccessTo, Permission, get
from tilth.wire.identity import AuditEventView, AuditPage


class BadCursor(Invalid):
    """`before` is not what an earlier page answered as `next`."""


@get("/api/v1/p/{project:str}/audit", permission=Permission.AUDIT_READ)
async def list_project_events(
    access: AccessTo[None], words: FromQuery[str] = "", before: FromQuery[str] = "", limit: FromQuery[int] = 100
) -> AuditPage:
    """Newest first. words: text that action, thing or actor must contain, or `refused`."""
    cursor, project_id = read_cursor(before), access.project.id
    events = await access.read(
        lambda tx: queries.events_of_project(tx, project_id, words=words, before=cursor, limit=_bounded(limit))
    )
    return audit_page(events, _bounded(limit), await access.read(lambda tx: queries.count_of_project(tx, project_id)))


@get("/api/v1/audit", permission=Permission.AUDIT_READ_ALL)
async def list_events(
    access: AccessTo[None], words: FromQuery[str] = "", before: FromQuery[str] = "", limit: FromQuery[int] = 100
) -> AuditPage:
    """Of the whole organisation, for auditors."""
    cursor = read_cursor(before)
    events = await access.read(lambda tx: queries.events_across_projects(tx, words=words, before=cursor, limit=_bounded(limit)))
    return audit_page(events, _bounded(limit), await access.read(queries.count_across_projects))


routes = [list_project_events, list_events]


def read_cursor(text: str) -> tuple[Millis, str] | None:
    """`<at>-<id>`, or nothing. Raises BadCursor."""
    if not text:
        return None
    at, _, id_ = text.partition("-")
    if not (at.isascii() and at.isdigit() and len(at) <= 18) or not id_:
        raise BadCursor(f"before={text[:60]!r} is no page mark: take it from `next` of the page before, or leave it out")
    return Millis(int(at)), id_


def audit_page(events: list[AuditEvent], limit: int, total: int) -> AuditPage:
    more = len(events) == limit and events
    return AuditPage(
        events=tuple(event_view(event) for event in events),
        next=f"{events[-1].at}-{events[-1].id}" if more else None,
        total=total,
    )


def event_view(event: AuditEvent) -> AuditEventView:
    return AuditEventView(
        id=event.id,
        position=event.position,
        at=event.at,
        actor=event.actor_name,
        actor_kind=event.actor_kind,
        via=event.via,
        address=event.address,
        action=event.action,
        outcome=event.outcome,
        project_id=event.project_id,
        thing=event.thing,
        detail=event.detail,
        hash=event.hash,
    )


def _bounded(limit: int) -> int:
    return max(1, min(limit, 1000))
