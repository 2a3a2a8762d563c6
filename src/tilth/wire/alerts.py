"""Webhooks as our own API writes and reads them. Moments in ms since the epoch."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

DeliveryState = Literal["waiting", "delivered", "failed"]


class WebhookCreate(msgspec.Struct, forbid_unknown_fields=True):
    """events: names, or `*`."""

    name: str
    url: str
    events: list[str]


class WebhookUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """Fields that are left out stay as they are."""

    url: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class WebhookView(msgspec.Struct):
    """problem: why Tilth switched it off. waiting, failed: deliveries of the last 30 days."""

    id: str
    name: str
    url: str
    events: list[str]
    active: bool
    problem: str
    created: int
    created_by: str
    waiting: int = 0
    failed: int = 0
    last_delivered: int | None = None


class WebhookList(msgspec.Struct):
    webhooks: list[WebhookView]


class WebhookSecret(msgspec.Struct):
    """The secret is shown this once."""

    webhook: WebhookView
    secret: str


class DeliveryView(msgspec.Struct):
    """response_status: of the last attempt, None when no answer came. next_at: of the next attempt, while it waits."""

    id: str
    event: str
    state: DeliveryState
    attempts: int
    next_at: int
    response_status: int | None
    error: str
    created: int
    ended: int | None
    body: str


class DeliveryPage(msgspec.Struct):
    deliveries: list[DeliveryView]
    total: int
