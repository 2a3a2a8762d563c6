"""Words of webhooks: errors and values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Invalid, NotFound


class UnknownWebhook(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"no webhook {name[:80]!r} in this project; `tilth webhook list` shows those there are")


class UnknownDelivery(NotFound):
    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"no delivery {delivery_id[:40]!r} of this webhook; `tilth webhook deliveries NAME` lists them")


class UnknownEventName(Invalid):
    def __init__(self, event: str, known: list[str], near: str | None) -> None:
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(known)}"
        super().__init__(f"no event {event[:80]!r} can be subscribed to; {hint}")


class NoEvents(Invalid):
    def __init__(self) -> None:
        super().__init__("a webhook needs at least one event; name them, or `*` for all")


class WebhookExists(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(f"a webhook {name!r} is there already; change it with `tilth webhook update`, or choose another name")


class TooManyWebhooks(Conflict):
    def __init__(self, most: int) -> None:
        super().__init__(f"this project has {most} webhooks, the most there may be; delete one first")


@dataclass(frozen=True, slots=True)
class Webhook:
    """problem: why it was switched off, if Tilth did it. waiting, failed: deliveries."""

    id: str
    project_id: str
    name: str
    url: str
    events: tuple[str, ...]
    active: bool
    problem: str
    created: Millis
    creator: str


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One message that must go out now. secrets: sealed, the present one first; during a change of secrets both sign."""

    id: str
    webhook_id: str
    project_id: str
    url: str
    body: str
    attempts: int
    secrets: tuple[str, ...]
