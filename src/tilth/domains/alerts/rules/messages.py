"""What a webhook says, and how a receiver knows that it is ours.

Signatures follow Standard Webhooks 1.0: HMAC-SHA256 of `<id>.<timestamp>.<body>`, secrets `whsec_<base64>`, versions `v1,<base64>`.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tilth.core.clock import HOUR, MINUTE, SECOND, Millis, iso
from tilth.domains.alerts.types import NoEvents, UnknownEventName

EVENTS = (
    "run.ended",
    "run.failed",
    "model_version.registered",
    "model_version.evaluated",
    "model_version.approved",
    "model_version.rejected",
    "model_alias.moved",
    "deployment.changed",
    "rollout.started",
    "rollout.ended",
)
"""What can be subscribed to. run.failed: those ends of runs that somebody should look at (failed, lost)."""
ALL_EVENTS = "*"
TEST_EVENT = "webhook.test"
PAUSES: tuple[Millis, ...] = tuple(
    Millis(pause) for pause in (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR)
)
"""Between the attempts, as Standard Webhooks proposes: a receiver may be away for a day and misses nothing."""
SECRET_BYTES = 32


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed_for(webhook_id: str) -> str:
    """The context under which a webhook's secret is sealed."""
    return f"webhook {webhook_id}"


def signature(secret: str, message_id: str, timestamp_s: int, body: str) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp_s}.{body}".encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(message_id: str, timestamp_s: int, body: str, secrets_: Sequence[str]) -> dict[str, str]:
    """timestamp_s: seconds since the epoch, of this attempt; receivers refuse old ones."""
    return {
        "content-type": "application/json",
        "user-agent": "tilth-webhooks",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp_s, body) for secret in secrets_),
    }


def message(event: str, at: Millis, data: Mapping[str, Any]) -> str:
    """The body: type, timestamp (ISO 8601, UTC) and the fields of the event."""
    return json.dumps({"type": event, "timestamp": iso(at), "data": dict(data)}, separators=(",", ":"), ensure_ascii=False)


def delivery_id(webhook_id: str, event: str, key: str) -> str:
    """The same for the same event, however often the outbox brings it: receivers tell repetitions apart by it."""
    return "msg_" + hashlib.sha256(f"{webhook_id}\n{event}\n{key}".encode()).hexdigest()[:32]


def check_events(events: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without repetitions. Raises UnknownEventName, NoEvents."""
    wanted = sorted(set(events))
    if not wanted:
        raise NoEvents
    for event in wanted:
        if event not in EVENTS and event != ALL_EVENTS:
            near = difflib.get_close_matches(event, EVENTS, 1, 0.6)
            raise UnknownEventName(event, [*EVENTS, ALL_EVENTS], near[0] if near else None)
    return (ALL_EVENTS,) if ALL_EVENTS in wanted else tuple(wanted)


def told_as(name: str, payload: Mapping[str, Any]) -> list[str]:
    """The names under which an event can be subscribed to."""
    if name == "run.ended" and payload.get("status") in ("failed", "lost"):
        return [name, "run.failed"]
    return [name]


def subscribed_name(events: Sequence[str], names: Sequence[str]) -> str | None:
    """The most telling of the names that the webhook asks for; None: it asks for none of them."""
    asked = [name for name in names if name in events or ALL_EVENTS in events]
    return asked[-1] if asked else None


def next_attempt(attempts: int, now: Millis) -> Millis | None:
    """When to try again after `attempts` failures; None: not any more."""
    return Millis(now + PAUSES[attempts - 1]) if attempts <= len(PAUSES) else None
