"""Writing the audit trail. Every change calls `record` in its own transaction: no change without its row, no row without its change."""

from __future__ import annotations

from typing import Any

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import MINUTE, now
from tilth.core.hashing import canonical_json, content_address
from tilth.core.ids import new_id
from tilth.domains.audit import queries
from tilth.domains.audit.types import Outcome


def record(
    tx: Tx, actor: Actor, action: str, *, project_id: str | None, thing: str, detail: dict[str, Any] | None = None
) -> None:
    """Notes that `actor` did `action` (`<noun>.<past participle>`) to `thing`. detail: JSON values, no secrets."""
    queries.append(tx, _fields(actor, action, "done", project_id, thing, detail or {}), once=None)


def record_refusal(tx: Tx, actor: Actor, route: str, permission: str, project_id: str | None) -> None:
    """Notes that `actor` was refused on `route`; at most once per principal, route and minute."""
    minute = now() // MINUTE
    once = content_address(canonical_json([actor.id, route, project_id, minute]))
    if queries.known_once(tx, once):
        return
    queries.append(tx, _fields(actor, permission, "refused", project_id, route, {}), once=once)


def record_failure(tx: Tx, actor: Actor, action: str, thing: str) -> None:
    """Notes that somebody at `actor.address` tried `action` on `thing` in vain; at most once per action, thing, address and minute."""
    once = content_address(canonical_json([action, thing, actor.address, now() // MINUTE]))
    if not queries.known_once(tx, once):
        queries.append(tx, _fields(actor, action, "refused", None, thing, {}), once=once)


def _fields(
    actor: Actor, action: str, outcome: Outcome, project_id: str | None, thing: str, detail: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "at": now(),
        "actor_id": actor.id,
        "actor_name": actor.name,
        "actor_kind": actor.kind,
        "via": actor.via,
        "address": actor.address,
        "action": action,
        "outcome": outcome,
        "project_id": project_id,
        "thing": thing,
        "detail": canonical_json(detail).decode(),
    }
