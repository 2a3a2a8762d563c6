"""Letting go over HTTP: retention rules applied, the trash looked at and emptied. Restoring is done where the thing stands."""

from __future__ import annotations

from collections import Counter
from typing import Any

from litestar import Request
from litestar.params import JSONBody

from tilth.core.clock import DAY, Millis, now
from tilth.core.errors import Invalid
from tilth.domains.models.actions import trash
from tilth.domains.models.queries.purging import runs_behind_versions
from tilth.domains.tracking.actions import rounds
from tilth.guard import AccessTo, Permission, get, post
from tilth.wire.care import RetentionApply, RetentionReport, TrashEmptied, TrashEmpty, TrashList

TRASH = "/api/v1/p/{project:str}/trash"
TRASH_DAYS = "tilth_trash_days"

Asked = Request[Any, Any, Any]


class InvalidAge(Invalid):
    """A number of days that no trash can have."""


@get(TRASH, permission=Permission.RUN_READ)
async def list_trash(access: AccessTo[None], request: Asked) -> TrashList:
    days = request.app.state[TRASH_DAYS]
    return await access.read(lambda tx: trash.trash(tx, access.project.id, Millis(now() + 1), days))


@post(TRASH + "/empty", permission=Permission.RETENTION_MANAGE, status_code=200)
async def empty_trash(access: AccessTo[None], request: Asked, data: JSONBody[TrashEmpty]) -> TrashEmptied:
    """For good: only a backup brings it back. Rows of runs and bytes are removed afterwards, within the hour."""
    if not 0 <= data.older_than_days <= 36_500:
        raise InvalidAge(f"older_than_days is {data.older_than_days}; give 0 to 36500")
    project, before = access.project.id, Millis(now() + 1 - data.older_than_days * DAY)
    if data.dry_run:
        found = await access.read(lambda tx: trash.trash(tx, project, before, request.app.state[TRASH_DAYS]))
        counts = Counter(entry.kind for entry in found.entries if data.ids is None or entry.id in data.ids)
        return TrashEmptied(dict(counts), True)
    return TrashEmptied(await trash.empty(access, access.actor, project, before, ids=data.ids), False)


@post("/api/v1/p/{project:str}/retention/apply", permission=Permission.RETENTION_MANAGE, status_code=200)
async def apply_retention(access: AccessTo[None], data: JSONBody[RetentionApply]) -> RetentionReport:
    """What the hourly round would do, now; with dry_run only told."""
    project = access.project.id
    return await rounds.apply_rules(access, access.actor, project, now(), spares=runs_behind_versions, dry_run=data.dry_run)


routes = [list_trash, empty_trash, apply_retention]
