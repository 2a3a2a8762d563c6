"""What an operator looks at and mends: events that could not be delivered."""

from __future__ import annotations

import msgspec
from litestar.params import FromPath

from tilth.backends.sql import Tx, outbox
from tilth.core.errors import NotFound
from tilth.domains.audit import actions as audit
from tilth.guard import AccessTo, Permission, get, post


class UnknownEvent(NotFound):
    """No dead event with this id."""


class DeadEvent(msgspec.Struct, frozen=True):
    """An event that its subscribers refused until the attempts ran out. created: moment in ms."""

    id: str
    event: str
    attempts: int
    created: int
    error: str | None


class OutboxView(msgspec.Struct, frozen=True):
    """waiting: events that are still to be delivered; dead: at most 100 that wait for a person."""

    waiting: int
    dead: tuple[DeadEvent, ...]


@get("/api/v1/outbox", permission=Permission.SYSTEM_READ)
async def show_outbox(access: AccessTo[None]) -> OutboxView:
    return await access.read(_view)


@post("/api/v1/outbox/{event_id:str}/retry", permission=Permission.SYSTEM_MANAGE, status_code=200)
async def retry_event(access: AccessTo[None], event_id: FromPath[str]) -> OutboxView:
    """Gives a dead event a new set of attempts."""

    def retry(tx: Tx) -> OutboxView:
        if not outbox.retry(tx, event_id):
            raise UnknownEvent(f"no dead event {event_id[:40]!r}; GET /api/v1/outbox shows them")
        audit.record(tx, access.actor, "event.retried", project_id=None, thing=event_id)
        return _view(tx)

    return await access.write(retry)


routes = [show_outbox, retry_event]


def _view(tx: Tx) -> OutboxView:
    dead = (DeadEvent(row.id, row.event, row.attempts, row.created_at, row.last_error) for row in outbox.dead_letters(tx))
    return OutboxView(outbox.waiting(tx), tuple(dead))
