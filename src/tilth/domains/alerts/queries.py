"""Questions about webhooks, and the statements that write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, insert, or_, select, update

from tilth.backends.sql import Row, Tx, hot, upsert
from tilth.core.clock import MINUTE, Millis
from tilth.domains.alerts.tables import webhook, webhook_delivery
from tilth.domains.alerts.types import DueDelivery, UnknownWebhook, Webhook
from tilth.wire.alerts import DeliveryPage, DeliveryView, WebhookView

MAX_WEBHOOKS = 20
"""Of one project."""
LEASE = Millis(2 * MINUTE)
"""A sender that died in the middle of a delivery holds it up for this long."""
TOPIC = "webhooks"

_COLUMNS = [
    webhook.c[name] for name in ("id", "project_id", "name", "url", "events", "active", "problem", "created", "creator_name")
]
_ANY_DUE = hot(
    select(webhook_delivery.c.id)
    .where(webhook_delivery.c.state == "waiting", webhook_delivery.c.next_at <= bindparam("now"))
    .limit(1)
)


def _webhook(row: Row) -> Webhook:
    return Webhook(
        row.id, row.project_id, row.name, row.url, tuple(row.events), row.active, row.problem, row.created, row.creator_name
    )


def webhooks_of(tx: Tx, project_id: str) -> list[Webhook]:
    """By name; a project has at most MAX_WEBHOOKS."""
    rows = tx.all(select(*_COLUMNS).where(webhook.c.project_id == project_id).order_by(webhook.c.name).limit(MAX_WEBHOOKS))
    return [_webhook(row) for row in rows]


def webhook_named(tx: Tx, project_id: str, name: str) -> Webhook:
    """Raises UnknownWebhook."""
    row = tx.one(select(*_COLUMNS).where(webhook.c.project_id == project_id, webhook.c.name == name))
    if row is None:
        raise UnknownWebhook(name)
    return _webhook(row)


def is_taken(tx: Tx, project_id: str, name: str) -> bool:
    return tx.one(select(webhook.c.id).where(webhook.c.project_id == project_id, webhook.c.name == name)) is not None


def webhook_views(tx: Tx, project_id: str) -> list[WebhookView]:
    """With the counts of what waits and what failed."""
    counted = tx.all(
        select(
            webhook_delivery.c.webhook_id,
            func.sum(case((webhook_delivery.c.state == "waiting", 1), else_=0)).label("waiting"),
            func.sum(case((webhook_delivery.c.state == "failed", 1), else_=0)).label("failed"),
            func.max(case((webhook_delivery.c.state == "delivered", webhook_delivery.c.ended))).label("delivered"),
        )
        .where(webhook_delivery.c.project_id == project_id)
        .group_by(webhook_delivery.c.webhook_id)
        .limit(MAX_WEBHOOKS)
    )
    counts = {row.webhook_id: row for row in counted}
    return [view_of(known, counts.get(known.id)) for known in webhooks_of(tx, project_id)]


def view_of(known: Webhook, counts: Row | None = None) -> WebhookView:
    return WebhookView(
        id=known.id,
        name=known.name,
        url=known.url,
        events=list(known.events),
        active=known.active,
        problem=known.problem,
        created=known.created,
        created_by=known.creator,
        waiting=int(counts.waiting) if counts is not None else 0,
        failed=int(counts.failed) if counts is not None else 0,
        last_delivered=counts.delivered if counts is not None else None,
    )


def insert_webhook(tx: Tx, project_id: str, row: dict[str, Any]) -> None:
    tx.run(insert(webhook).values(project_id=project_id, **row))


def change_webhook(tx: Tx, project_id: str, webhook_id: str, changes: dict[str, Any]) -> None:
    tx.run(update(webhook).where(webhook.c.project_id == project_id, webhook.c.id == webhook_id).values(**changes))


def secret_of(tx: Tx, project_id: str, webhook_id: str) -> str:
    sealed: str = tx.scalar(select(webhook.c.secret).where(webhook.c.project_id == project_id, webhook.c.id == webhook_id))
    return sealed


def delete_webhook(tx: Tx, project_id: str, webhook_id: str) -> None:
    """With everything that was or is to be delivered to it."""
    tx.run(
        delete(webhook_delivery).where(webhook_delivery.c.project_id == project_id, webhook_delivery.c.webhook_id == webhook_id)
    )
    tx.run(delete(webhook).where(webhook.c.project_id == project_id, webhook.c.id == webhook_id))


def add_delivery(tx: Tx, project_id: str, row: dict[str, Any]) -> None:
    """One of the same id stays as it is."""
    tx.run(upsert(webhook_delivery, ["id"]), project_id=project_id, **row)
    tx.announce(TOPIC)


def deliveries_page(tx: Tx, project_id: str, webhook_id: str, *, limit: int, offset: int) -> DeliveryPage:
    """Newest first."""
    mine = and_(webhook_delivery.c.project_id == project_id, webhook_delivery.c.webhook_id == webhook_id)
    columns = [webhook_delivery.c[name] for name in DeliveryView.__struct_fields__]
    newest = [webhook_delivery.c.created.desc(), webhook_delivery.c.id.desc()]
    rows = tx.all(select(*columns).where(mine).order_by(*newest).limit(min(limit, 500)).offset(offset))
    total = int(tx.scalar(select(func.count()).select_from(webhook_delivery).where(mine)))
    return DeliveryPage([DeliveryView(**row._asdict()) for row in rows], total)


def send_again(tx: Tx, project_id: str, webhook_id: str, delivery_id: str) -> bool:
    """False where there is none of that id."""
    mine = and_(
        webhook_delivery.c.project_id == project_id,
        webhook_delivery.c.webhook_id == webhook_id,
        webhook_delivery.c.id == delivery_id,
    )
    again = {"state": "waiting", "attempts": 0, "next_at": 0, "error": "", "ended": None, "response_status": None}
    tx.announce(TOPIC)
    return tx.run(update(webhook_delivery).where(mine).values(**again)) == 1


def any_due_across_projects(tx: Tx, now: Millis) -> bool:
    return tx.one(_ANY_DUE, now=now) is not None


def claim_due_across_projects(tx: Tx, now: Millis, most: int, *, busy: Mapping[str, int], most_of_one: int) -> list[DueDelivery]:
    """Leases what is due, so that of several senders one has it. busy, most_of_one: messages under way, by project, and their bound."""
    due = tx.all(
        select(webhook_delivery.c.id, webhook_delivery.c.project_id)
        .where(webhook_delivery.c.state == "waiting", webhook_delivery.c.next_at <= now)
        .where(webhook_delivery.c.project_id.not_in([project for project, count in busy.items() if count >= most_of_one]))
        .order_by(webhook_delivery.c.next_at, webhook_delivery.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids, counted = [], Counter(busy)
    for row in due:
        if counted[row.project_id] < most_of_one:
            counted[row.project_id] += 1
            ids.append(row.id)
    if not ids:
        return []
    tx.run(
        update(webhook_delivery)
        .where(webhook_delivery.c.id.in_(ids))
        .values(next_at=now + LEASE, attempts=webhook_delivery.c.attempts + 1)
    )
    return _claimed(tx, ids, now)


def _claimed(tx: Tx, ids: Sequence[str], now: Millis) -> list[DueDelivery]:
    rows = tx.all(
        select(
            webhook_delivery.c.id,
            webhook_delivery.c.webhook_id,
            webhook_delivery.c.project_id,
            webhook_delivery.c.body,
            webhook_delivery.c.attempts,
            webhook.c.url,
            webhook.c.secret,
            case((webhook.c.previous_until > now, webhook.c.previous_secret)).label("previous"),
        )
        .join(webhook, webhook.c.id == webhook_delivery.c.webhook_id)
        .where(webhook_delivery.c.id.in_(ids))
        .order_by(webhook_delivery.c.id)
        .limit(len(ids))
    )
    return [
        DueDelivery(
            id=row.id,
            webhook_id=row.webhook_id,
            project_id=row.project_id,
            url=row.url,
            body=row.body,
            attempts=row.attempts,
            secrets=(row.secret, *([row.previous] if row.previous else [])),
        )
        for row in rows
    ]


def note_outcome(tx: Tx, project_id: str, delivery_id: str, changes: dict[str, Any]) -> None:
    mine = and_(webhook_delivery.c.project_id == project_id, webhook_delivery.c.id == delivery_id)
    tx.run(update(webhook_delivery).where(mine).values(**changes))


def drop_ended_across_projects(tx: Tx, before: Millis) -> int:
    """Forgets deliveries that ended, or were given up, before that moment."""
    return tx.run(
        delete(webhook_delivery).where(
            or_(webhook_delivery.c.state == "delivered", webhook_delivery.c.state == "failed"), webhook_delivery.c.ended < before
        )
    )
