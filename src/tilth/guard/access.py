"""What the guard hands to a handler: the checked principal, the project, the loaded resource, and the database behind a re-check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tilth.core.actors import Actor
from tilth.core.errors import Denied
from tilth.guard.permissions import Permission
from tilth.guard.principal import Gate, Principal, ProjectRef, Transactions

L = TypeVar("L")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access(Generic[L]):
    """One admitted request.

    loaded: what the route's `loads` returned (None without one). route: its declared path.
    """

    principal: Principal
    permission: Permission
    loaded: L
    scope: ProjectRef | None
    gate: Gate
    database: Transactions
    route: str

    @property
    def actor(self) -> Actor:
        return self.principal.actor

    @property
    def project(self) -> ProjectRef:
        """The project of the route. Only routes with `{project:str}` may ask."""
        if self.scope is None:
            raise LookupError("this route names no project")
        return self.scope

    async def read(self, fn: Callable[[Any], T]) -> T:
        """Runs `fn(tx)` in a read transaction."""
        return await self.database.read(fn)

    async def write(self, fn: Callable[[Any], T]) -> T:
        """Runs `fn(tx)` in a write transaction, after a re-check that the principal is still active and still holds its role.

        Returns after the commit. `fn` may run more than once. A refusal (Denied) leaves its row in the audit trail.
        """

        def checked(tx: Any) -> T:
            self.gate.recheck(tx, self.principal, self.permission, self.scope)
            return fn(tx)

        try:
            return await self.database.write(checked)
        except Denied:
            # The transaction of the change is undone, and a row written in it would be undone with it.
            await self.gate.refused(self.principal, self.route, self.permission, self.scope)
            raise

    def forget(self) -> None:
        """Call after a change of roles, tokens or projects, so that this process knows it at once (others within seconds)."""
        self.gate.forget()
