"""What an audit event is, and what can be wrong with the chain of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tilth.core.clock import Millis

Outcome = Literal["done", "refused"]

GENESIS = "0" * 64
"""What the first event of the chain follows."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change, or one refusal.

    position: place in the chain, 1 and up, None while it is not sealed yet (PostgreSQL seals within a second of the commit).
    thing: id or name of what was acted on. detail: what a reader needs to understand the change; never secrets.
    """

    id: str
    position: int | None
    at: Millis
    actor_id: str
    actor_name: str
    actor_kind: str
    via: str
    address: str
    action: str
    outcome: Outcome
    project_id: str | None
    thing: str
    detail: dict[str, Any]
    hash: str | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement that the chain had this head at this moment; kept outside the database, so that a cut tail shows."""

    position: int
    hash: str
    at: Millis
    signature: str


@dataclass(frozen=True, slots=True)
class Intact:
    """Every row follows its predecessor and every checkpoint is met."""

    events: int
    checkpoints: int
    head: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row (or missing row) at which the chain or a checkpoint does not hold."""

    position: int
    event_id: str | None
    reason: str


Verdict = Intact | Broken
