"""Signing in with a password: how often, how many at once, and that the answer tells nothing but yes or no.

Several control processes divide the allowance among them, so that together they allow what one alone would. The buckets live in
memory: a restart, which only whoever runs the server can cause, fills them again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tilth.backends.sql import Database
from tilth.core.buckets import Buckets
from tilth.core.clock import monotonic
from tilth.domains.identity import queries
from tilth.domains.identity.actions import sessions
from tilth.domains.identity.rules import check_password, check_sign_in, hash_password, needs_new_hash, password_matches
from tilth.domains.identity.rules.passwords import MAX_PASSWORD_CHARS
from tilth.domains.identity.types import (
    SignInBusy,
    StartedSession,
    StoredPassword,
    TooManyAttempts,
    Visitor,
    WrongPassword,
)
from tilth.guard import Principal

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Passwords that are hashed at the same moment; each takes 19 MiB and a core for about 30 ms."""
MAX_WAITING = 64
NAME_BURST, NAME_EVERY_S = 10, 30.0
"""Wrong passwords for one name: ten at once, then one each 30 s."""
ADDRESS_BURST, ADDRESS_EVERY_S = 30, 10.0
"""From one address (of IPv6: one /64), over all names. Many people may stand behind one address, so right passwords do not count."""
MAX_NAME_CHARS = 63


class Doorkeeper:
    """Checks passwords of everybody who signs in at this control process. processes: how many of them share the allowance."""

    def __init__(self, database: Database, processes: int = 1) -> None:
        self._database = database
        self._names = Buckets(1 / (NAME_EVERY_S * processes), NAME_BURST / processes)
        self._addresses = Buckets(1 / (ADDRESS_EVERY_S * processes), ADDRESS_BURST / processes)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._unawaited: set[asyncio.Future[None]] = set()
        # Somebody nobody knows is checked against this, so that the time of an answer does not tell which names exist.
        self._nobody = hash_password(secrets.token_urlsafe(16))

    async def sign_in(self, name: str, password: str, visitor: Visitor) -> StartedSession:
        """Raises WrongPassword, TooManyAttempts, SignInBusy."""
        name = name.strip().lower()[: MAX_NAME_CHARS + 1]
        self._knock(name, visitor.address)
        known = await self._database.read(lambda tx: queries.password_of(tx, name))
        right = await self._matches(known, password)
        if known is None or known.kind != "user" or not known.active or not right:
            self._note(known.name if known is not None else "", visitor)
            raise WrongPassword
        self._welcome(name, visitor.address)
        new_hash = await self._hash(password) if known.hash is not None and needs_new_hash(known.hash) else None
        return await self._database.write(lambda tx: sessions.sign_in_by_password(tx, known, visitor, new_hash))

    async def prove(self, caller: Principal, password: str) -> StoredPassword:
        """That the caller knows the password of his own account; one who has none yet has nothing to prove.

        Raises BeyondOwnRights, WrongPassword, TooManyAttempts, SignInBusy.
        """
        check_sign_in(caller)
        known = await self._database.read(lambda tx: queries.password_by_id(tx, caller.actor.id))
        assert known is not None
        if known.hash is None:
            return known
        self._knock(known.name, caller.actor.address)
        if not await self._matches(known, password):
            self._note(known.name, Visitor(caller.actor.address))
            raise WrongPassword
        self._welcome(known.name, caller.actor.address)
        return known

    async def new_hash(self, password: str, name: str) -> str:
        """Of a password that `name` chose. Raises WeakPassword, SignInBusy."""
        check_password(password, name)
        return await self._hash(password)

    async def _matches(self, known: StoredPassword | None, password: str) -> bool:
        stored = known.hash if known is not None else None
        tried = password if len(password) <= MAX_PASSWORD_CHARS else ""
        async with self._turn():
            right = await asyncio.to_thread(password_matches, stored or self._nobody, tried)
        return right and stored is not None

    async def _hash(self, password: str) -> str:
        async with self._turn():
            return await asyncio.to_thread(hash_password, password)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One place among those who have a password hashed."""
        if self._waiting >= MAX_WAITING:
            raise SignInBusy("more people sign in at this moment than this server has memory for: try again in a second")
        self._waiting += 1
        try:
            async with self._room:
                yield
        finally:
            self._waiting -= 1

    def _knock(self, name: str, address: str) -> None:
        """Counts the attempt before the password is looked at: a hundred at the same moment are a hundred. Raises TooManyAttempts."""
        moment = monotonic()
        wait = self._addresses.take(network(address), moment) or self._names.take(name, moment)
        if wait:
            raise TooManyAttempts(
                f"too many wrong passwords for this name or from this address: try again in {math.ceil(wait)} s", wait
            )

    def _welcome(self, name: str, address: str) -> None:
        moment = monotonic()
        self._addresses.give_back(network(address), moment)
        self._names.give_back(name, moment)

    def _note(self, name: str, visitor: Visitor) -> None:
        """Nobody waits for the row: whether it was written for this name a moment ago would show in the time of the answer."""
        writing = asyncio.ensure_future(self._database.write(lambda tx: sessions.note_failed_login(tx, name, visitor)))
        self._unawaited.add(writing)
        writing.add_done_callback(self._noted)

    def _noted(self, writing: asyncio.Future[None]) -> None:
        self._unawaited.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("a failed sign-in could not be written into the audit trail: %s", error)


def network(address: str) -> str:
    """What counts as one address: whoever has one IPv6 address has the 2**64 of its network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((found, 64), strict=False))
