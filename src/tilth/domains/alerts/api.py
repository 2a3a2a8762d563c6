"""Our own API of webhooks."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET

from tilth.backends.notify import Receivers
from tilth.backends.sealing import Sealer
from tilth.backends.sql import Tx
from tilth.core.ids import new_id
from tilth.core.paging import page_start
from tilth.domains.alerts import actions, queries
from tilth.domains.alerts.rules.messages import new_secret, sealed_for
from tilth.domains.alerts.types import Webhook
from tilth.guard import AccessTo, Permission, delete, get, patch, post
from tilth.wire.alerts import DeliveryPage, WebhookCreate, WebhookList, WebhookSecret, WebhookUpdate, WebhookView

BASE = "/api/v1/p/{project:str}/webhooks"
ONE = BASE + "/{name:str}"
SEALER = "tilth_sealer"
RECEIVERS = "tilth_receivers"

Asked = Request[Any, Any, Any]


@get(BASE, permission=Permission.WEBHOOK_READ)
async def list_webhooks(access: AccessTo[None]) -> WebhookList:
    return WebhookList(await access.read(lambda tx: queries.webhook_views(tx, access.project.id)))


@post(BASE, permission=Permission.WEBHOOK_MANAGE)
async def create_webhook(request: Asked, access: AccessTo[None], data: JSONBody[WebhookCreate]) -> WebhookSecret:
    """The secret, with which a receiver checks the signatures, is shown this once."""
    return await make_webhook(request, access, data)


async def make_webhook(request: Asked, access: AccessTo[None], data: WebhookCreate) -> WebhookSecret:
    receivers: Receivers = request.app.state[RECEIVERS]
    sealer: Sealer = request.app.state[SEALER]
    url, id_, secret = receivers.check_url(data.url), new_id(), new_secret()
    sealed = sealer.seal(secret, sealed_for(id_))

    def create(tx: Tx) -> Webhook:
        return actions.create_webhook(
            tx, access.actor, access.project.id, name=data.name, url=url, events=data.events, sealed_secret=sealed, id=id_
        )

    return WebhookSecret(queries.view_of(await access.write(create)), secret)


@patch(ONE, permission=Permission.WEBHOOK_MANAGE)
async def update_webhook(
    request: Asked, access: AccessTo[None], name: FromPath[str], data: JSONBody[WebhookUpdate]
) -> WebhookView:
    receivers: Receivers = request.app.state[RECEIVERS]
    url = None if data.url is UNSET else receivers.check_url(data.url)
    events = None if data.events is UNSET else data.events
    active = None if data.active is UNSET else data.active
    changed = await access.write(
        lambda tx: actions.change_webhook(tx, access.actor, access.project.id, name, url=url, events=events, active=active)
    )
    return queries.view_of(changed)


@delete(ONE, permission=Permission.WEBHOOK_MANAGE)
async def delete_webhook(access: AccessTo[None], name: FromPath[str]) -> None:
    await access.write(lambda tx: actions.delete_webhook(tx, access.actor, access.project.id, name))


@post(ONE + "/secret", permission=Permission.WEBHOOK_MANAGE, status_code=200)
async def change_secret(request: Asked, access: AccessTo[None], name: FromPath[str]) -> WebhookSecret:
    """A new secret; for a day messages carry the signatures of both."""
    sealer: Sealer = request.app.state[SEALER]
    known = await access.read(lambda tx: queries.webhook_named(tx, access.project.id, name))
    secret = new_secret()
    sealed = sealer.seal(secret, sealed_for(known.id))
    changed = await access.write(lambda tx: actions.change_secret(tx, access.actor, access.project.id, name, sealed))
    return WebhookSecret(queries.view_of(changed), secret)


@post(ONE + "/test", permission=Permission.WEBHOOK_MANAGE, status_code=202)
async def test_webhook(access: AccessTo[None], name: FromPath[str]) -> dict[str, str]:
    """Sends a message of type `webhook.test`; `delivery` is its id."""
    return {"delivery": await access.write(lambda tx: actions.test_webhook(tx, access.actor, access.project.id, name))}


@get(ONE + "/deliveries", permission=Permission.WEBHOOK_READ)
async def list_deliveries(
    access: AccessTo[None], name: FromPath[str], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> DeliveryPage:
    """Newest first, of the last 30 days."""

    def page(tx: Tx) -> DeliveryPage:
        known = queries.webhook_named(tx, access.project.id, name)
        return queries.deliveries_page(tx, access.project.id, known.id, limit=max(1, limit), offset=page_start(offset))

    return await access.read(page)


@post(ONE + "/deliveries/{delivery_id:str}/retry", permission=Permission.WEBHOOK_MANAGE, status_code=202)
async def retry_delivery(access: AccessTo[None], name: FromPath[str], delivery_id: FromPath[str]) -> None:
    await access.write(lambda tx: actions.send_again(tx, access.actor, access.project.id, name, delivery_id))


routes = [
    list_webhooks,
    create_webhook,
    update_webhook,
    delete_webhook,
    change_secret,
    test_webhook,
    list_deliveries,
    retry_delivery,
]
