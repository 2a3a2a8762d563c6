"""Who acts. Domains and the audit know an actor as plain ids and names; `identity` alone knows what stands behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["user", "service", "run", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The principal behind a change.

    id: principal id; name: shown to people; kind: what the principal is; via: the credential, such as `token:<id>`, `session:<id>`
    or `system`; address: the client's network address, empty for the system itself.
    """

    id: str
    name: str
    kind: ActorKind
    via: str
    address: str = ""


SYSTEM = Actor(id="system", name="system", kind="system", via="system")
"""Tilth itself: start-up, heartbeat sweeps, retention."""
