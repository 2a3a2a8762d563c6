"""The guard's view of identity: authentication with a short memory, and the re-check inside each write."""

from __future__ import annotations

import asyncio
import logging

from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor, ActorKind
from tilth.core.buckets import Buckets
from tilth.core.clock import Clock, Millis, monotonic
from tilth.core.errors import TooMany
from tilth.core.ids import ProjectId
from tilth.core.names import SLUG
from tilth.domains.audit import actions as audit
from tilth.domains.identity import queries
from tilth.domains.identity.queries import writes
from tilth.domains.identity.rules import looks_like_token, secret_digest
from tilth.domains.identity.types import BadCredentials
from tilth.guard import NEEDS, SCOPES, Credentials, Permission, Principal, ProjectRef, RoleTooLow, UnknownProject

log = logging.getLogger("tilth.gate")

MEMORY_S = 2.0
"""How long an answer about a credential or a project is believed: a revocation is known everywhere well within 5 s."""
MAX_REMEMBERED = 10_000


class TooManyRequests(TooMany):
    def __init__(self, name: str, wait_s: float) -> None:
        super().__init__(
            f"{name!r} sends more requests than the setting requests_per_second allows: send several values in one request, "
            "or ask whoever runs this server",
            wait_s,
        )


class DatabaseGate:
    """Implements `tilth.guard.Gate` over identity's tables."""

    def __init__(self, database: Database, clock: Clock, requests_per_second: float = 0.0) -> None:
        """requests_per_second: of each principal, to this process; twice as many at once. 0: as many as come."""
        self._database = database
        self._clock = clock
        self._pace = Buckets(requests_per_second, 2 * requests_per_second) if requests_per_second else None
        self._principals: dict[tuple[str, str, str], tuple[float, Principal]] = {}
        self._projects: dict[str, tuple[float, ProjectRef | None]] = {}
        self._refused: dict[tuple[str, str, str], float] = {}
        self._used: dict[tuple[str, str], Millis] = {}
        self._seen: dict[str, Millis] = {}
        self._unawaited: set[asyncio.Future[None]] = set()

    async def authenticate(self, credentials: Credentials) -> Principal:
        """A token goes before a session. Raises BadCredentials, TooManyRequests."""
        kind, secret = ("token", credentials.token) if credentials.token is not None else ("session", credentials.session or "")
        key = (kind, secret, credentials.address)
        known = self._principals.get(key)
        if known is not None and monotonic() - known[0] < MEMORY_S:
            return self._paced(known[1])
        if kind == "token" and not looks_like_token(secret):
            raise BadCredentials(
                "this is no Tilth token (they look like tilth_xxxxxxxx_...): `tilth env` prints yours. A password is good on the "
                "sign-in page only; programs use a token, also as the password of Basic credentials"
            )
        found = await self._database.read(lambda tx: self._find(tx, kind, secret, credentials.address))
        if found is None:
            raise BadCredentials(
                "this token is unknown, expired or revoked: make another with `tilth token create`"
                if kind == "token"
                else "this session has ended: sign in again, or open the pages with `tilth open`"
            )
        if len(self._principals) >= MAX_REMEMBERED:
            self._principals.clear()
        self._principals[key] = (monotonic(), found)
        moment = self._clock()
        self._used[(kind, found.actor.via.partition(":")[2])] = moment
        self._seen[found.actor.id] = moment
        return self._paced(found)

    def _paced(self, principal: Principal) -> Principal:
        wait = self._pace.take(principal.actor.id, monotonic()) if self._pace is not None else 0.0
        if wait:
            raise TooManyRequests(principal.actor.name, wait)
        return principal

    def _find(self, tx: Tx, kind: str, secret: str, address: str) -> Principal | None:
        digest, now = secret_digest(secret), self._clock()
        found = (
            queries.credential_by_token(tx, digest, now) if kind == "token" else queries.credential_by_session(tx, digest, now)
        )
        if found is None:
            return None
        roles = queries.roles_across_projects(tx, found.principal_id)
        bound = ProjectId(found.project_id) if found.project_id is not None else None
        home = bound or next(iter(roles), None)
        return Principal(
            actor=Actor(found.principal_id, found.principal_name, _actor_kind(found), f"{kind}:{found.id}", address),
            org_role=found.org_role,
            roles=roles,
            scopes=found.scopes if found.scopes is not None else SCOPES,
            bound_to=bound,
            by_cookie=kind == "session",
            run_id=found.run_id,
            default_project=queries.project_ref(tx, home) if home is not None else None,
        )

    async def project(self, name: str) -> ProjectRef | None:
        if not SLUG.fullmatch(name):
            return None  # neither asked for nor remembered: a caller could fill the memory with names as long as an address
        known = self._projects.get(name)
        if known is not None and monotonic() - known[0] < MEMORY_S:
            return known[1]
        found = await self._database.read(lambda tx: queries.project_named(tx, name))
        reference = ProjectRef(ProjectId(found.id), found.name) if found is not None else None
        if len(self._projects) >= MAX_REMEMBERED:
            self._projects.clear()
        self._projects[name] = (monotonic(), reference)
        return reference

    def recheck(self, tx: Tx, principal: Principal, permission: Permission, project: ProjectRef | None) -> None:
        """One statement by primary keys. Raises BadCredentials, UnknownProject, RoleTooLow."""
        kind, _, id_ = principal.actor.via.partition(":")
        standing = queries.standing(
            tx, kind=kind, id_=id_, project_id=project.id if project is not None else "", now=self._clock()
        )
        if standing is None:
            raise BadCredentials("this credential ended a moment ago: sign in again or use another token")
        needs = NEEDS[permission]
        org_role, role = standing
        if project is not None and role is None:
            raise UnknownProject(project.name)
        if (needs.role is not None and (role is None or role < needs.role)) or (
            needs.org_role is not None and org_role < needs.org_role
        ):
            raise RoleTooLow(f"{permission} needs a higher role than you hold now; it was changed a moment ago")
        tx.confined_to = principal.run_id

    def forget(self) -> None:
        self._principals.clear()
        self._projects.clear()

    async def refused(self, principal: Principal, route: str, permission: Permission, project: ProjectRef | None) -> None:
        key = (principal.actor.id, route, project.id if project is not None else "")
        last = self._refused.get(key)
        if last is not None and monotonic() - last < 30:
            return
        if len(self._refused) >= MAX_REMEMBERED:
            self._refused.clear()
        self._refused[key] = monotonic()
        actor, project_id = principal.actor, project.id if project is not None else None
        writing = asyncio.ensure_future(
            self._database.write(lambda tx: audit.record_refusal(tx, actor, route, permission.value, project_id))
        )
        if project is not None and principal.role_in(project.id) is None:
            self._unawaited.add(writing)
            writing.add_done_callback(self._written)
        else:
            await asyncio.shield(writing)

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._unawaited.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("a refusal could not be written into the audit trail: %s", error)

    async def write_last_used(self) -> None:
        """Notes when tokens, sessions and principals were last seen. Called every few seconds: a request never waits for it."""
        used, self._used = self._used, {}
        seen, self._seen = self._seen, {}

        def note(tx: Tx) -> None:
            writes.touch_tokens(tx, {id_: at for (kind, id_), at in used.items() if kind == "token"})
            writes.touch_sessions(tx, {id_: at for (kind, id_), at in used.items() if kind == "session"})
            writes.touch_principals(tx, seen)

        if used:
            await self._database.write(note)


def _actor_kind(found: queries.CredentialRow) -> ActorKind:
    """A run's token acts for the run: what it writes about itself leaves no audit rows."""
    if found.kind == "run":
        return "run"
    return "service" if found.principal_kind == "service" else "user"
