"""Webhooks: made, changed, told of events, and what became of each message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import DAY, Millis, now
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_slug
from tilth.domains.alerts import queries
from tilth.domains.alerts.rules import messages
from tilth.domains.alerts.types import DueDelivery, TooManyWebhooks, UnknownDelivery, Webhook, WebhookExists
from tilth.domains.audit.actions import record

BOTH_SECRETS_FOR = Millis(DAY)
MAX_ERROR_CHARS = 500


def create_webhook(
    tx: Tx, actor: Actor, project_id: ProjectId, *, name: str, url: str, events: Sequence[str], sealed_secret: str, id: str
) -> Webhook:
    """url: checked already. sealed_secret: sealed for `id`.

    Raises InvalidName, WebhookExists, TooManyWebhooks, UnknownEventName, NoEvents.
    """
    check_slug(name, "webhook")
    wanted = messages.check_events(events)
    if queries.is_taken(tx, project_id, name):
        raise WebhookExists(name)
    if len(queries.webhooks_of(tx, project_id)) >= queries.MAX_WEBHOOKS:
        raise TooManyWebhooks(queries.MAX_WEBHOOKS)
    row = {
        "id": id,
        "name": name,
        "url": url,
        "events": list(wanted),
        "active": True,
        "problem": "",
        "secret": sealed_secret,
        "previous_secret": None,
        "previous_until": None,
        "created": now(),
        "creator_id": actor.id,
        "creator_name": actor.name,
    }
    queries.insert_webhook(tx, project_id, row)
    record(
        tx, actor, "webhook.created", project_id=project_id, thing=name, detail={"address": _shown(url), "events": list(wanted)}
    )
    return queries.webhook_named(tx, project_id, name)


def change_webhook(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    active: bool | None = None,
) -> Webhook:
    """What is None stays. Raises UnknownWebhook, UnknownEventName, NoEvents."""
    known = queries.webhook_named(tx, project_id, name)
    changes: dict[str, Any] = {}
    if url is not None:
        changes["url"] = url
    if events is not None:
        changes["events"] = list(messages.check_events(events))
    if active is not None:
        changes |= {"active": active, "problem": ""}
    if changes:
        queries.change_webhook(tx, project_id, known.id, changes)
        told = {key: value for key, value in changes.items() if key != "url"} | ({} if url is None else {"address": _shown(url)})
        record(tx, actor, "webhook.changed", project_id=project_id, thing=name, detail=told)
    return queries.webhook_named(tx, project_id, name)


def change_secret(tx: Tx, actor: Actor, project_id: ProjectId, name: str, sealed_secret: str) -> Webhook:
    """For a day both secrets sign, so that a receiver can change over in peace. Raises UnknownWebhook."""
    known = queries.webhook_named(tx, project_id, name)
    changes = {
        "secret": sealed_secret,
        "previous_secret": queries.secret_of(tx, project_id, known.id),
        "previous_until": now() + BOTH_SECRETS_FOR,
    }
    queries.change_webhook(tx, project_id, known.id, changes)
    record(tx, actor, "webhook.secret_changed", project_id=project_id, thing=name)
    return known


def delete_webhook(tx: Tx, actor: Actor, project_id: ProjectId, name: str) -> None:
    """What waits for it is dropped. Raises UnknownWebhook."""
    known = queries.webhook_named(tx, project_id, name)
    queries.delete_webhook(tx, project_id, known.id)
    record(tx, actor, "webhook.deleted", project_id=project_id, thing=name, detail={"address": _shown(known.url)})


def test_webhook(tx: Tx, actor: Actor, project_id: ProjectId, name: str) -> str:
    """Sends a message that means nothing; the id of its delivery. Raises UnknownWebhook."""
    known = queries.webhook_named(tx, project_id, name)
    data = {"webhook": name, "project_id": project_id, "by": actor.name}
    return _enqueue(tx, known, messages.TEST_EVENT, new_id(), data)


def send_again(tx: Tx, actor: Actor, project_id: ProjectId, name: str, delivery_id: str) -> None:
    """Raises UnknownWebhook, UnknownDelivery."""
    known = queries.webhook_named(tx, project_id, name)
    if not queries.send_again(tx, project_id, known.id, delivery_id):
        raise UnknownDelivery(delivery_id)
    record(tx, actor, "webhook.resent", project_id=project_id, thing=name, detail={"delivery": delivery_id})


def tell(tx: Tx, project_id: str, event: str, key: str, data: Mapping[str, Any]) -> int:
    """Queues a message for each webhook of the project that asks for the event; how many. Repeating it with the same key adds none."""
    names = messages.told_as(event, data)
    told = 0
    for known in queries.webhooks_of(tx, project_id):
        asked = messages.subscribed_name(known.events, names) if known.active else None
        if asked is not None:
            _enqueue(tx, known, asked, key, data)
            told += 1
    return told


def note_delivered(tx: Tx, due: DueDelivery, status: int, at: Millis) -> None:
    changes = {"state": "delivered", "response_status": status, "error": "", "ended": at}
    queries.note_outcome(tx, due.project_id, due.id, changes)


def note_failure(tx: Tx, due: DueDelivery, status: int | None, error: str, at: Millis, *, final: bool = False) -> None:
    """Puts the message off, or gives it up after the last attempt, or at once where another could not help."""
    again = None if final else messages.next_attempt(due.attempts, at)
    changes: dict[str, Any] = {"response_status": status, "error": error[:MAX_ERROR_CHARS]}
    changes |= {"state": "failed", "ended": at} if again is None else {"next_at": again}
    queries.note_outcome(tx, due.project_id, due.id, changes)


def switch_off(tx: Tx, due: DueDelivery, problem: str) -> None:
    """Because the receiver said so."""
    queries.change_webhook(tx, due.project_id, due.webhook_id, {"active": False, "problem": problem})


def _enqueue(tx: Tx, known: Webhook, event: str, key: str, data: Mapping[str, Any]) -> str:
    at = now()
    id_ = messages.delivery_id(known.id, event, key)
    row = {
        "id": id_,
        "webhook_id": known.id,
        "event": event,
        "body": messages.message(event, at, data),
        "state": "waiting",
        "attempts": 0,
        "next_at": 0,
        "response_status": None,
        "error": "",
        "created": at,
        "ended": None,
    }
    queries.add_delivery(tx, known.project_id, row)
    return id_


def _shown(url: str) -> str:
    """Scheme and host: many receivers keep a secret in the rest, and the audit trail forgets nothing."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")
