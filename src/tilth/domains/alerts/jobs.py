"""Sends what webhooks wait for."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from tilth.backends.notify import AddressRefused, NotDelivered, Receivers
from tilth.backends.sealing import Sealer, SecretUnreadable
from tilth.backends.sql import Database, Tx
from tilth.core.clock import DAY, Clock, Millis
from tilth.domains.alerts import actions, queries
from tilth.domains.alerts.rules.messages import headers, sealed_for
from tilth.domains.alerts.types import DueDelivery

log = logging.getLogger("tilth.webhooks")

AT_ONCE = 16
AT_ONCE_PER_PROJECT = 6
"""So that receivers of one project that never answer leave room for the others."""
LOOK_EVERY_S = 1.0
KEPT_FOR = Millis(30 * DAY)


class WebhookSender:
    """Delivers at least once. Several may run on one PostgreSQL database: a message is leased to one at a time."""

    def __init__(self, database: Database, sealer: Sealer, receivers: Receivers, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._receivers = receivers
        self._clock = clock

    async def send_due(self) -> int:
        """Sends everything that is due, also what becomes due meanwhile; how many messages were tried."""
        tried = 0
        sending: dict[asyncio.Future[None], str] = {}
        try:
            while True:
                claimed = await self._claim(Counter(sending.values()))
                sending |= {asyncio.ensure_future(self._send(due)): due.project_id for due in claimed}
                tried += len(claimed)
                if not sending:
                    return tried
                if not claimed:
                    ended, _ = await asyncio.wait(sending, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                    for each in ended:
                        del sending[each]
                        each.result()
        finally:
            for each in sending:
                each.cancel()

    async def drop_old(self) -> int:
        before = Millis(self._clock() - KEPT_FOR)
        return await self._database.write(lambda tx: queries.drop_ended_across_projects(tx, before))

    async def _claim(self, busy: Counter[str]) -> list[DueDelivery]:
        """busy: how many messages of each project are under way."""
        moment, room = self._clock(), AT_ONCE - busy.total()
        # Nearly always there is nothing, and looking takes no turn of the writer.
        if room <= 0 or not await self._database.read(lambda tx: queries.any_due_across_projects(tx, moment)):
            return []
        return await self._database.write(
            lambda tx: queries.claim_due_across_projects(tx, moment, room, busy=busy, most_of_one=AT_ONCE_PER_PROJECT)
        )

    async def _send(self, due: DueDelivery) -> None:
        note = await self._outcome(due)
        await self._database.write(note)

    async def _outcome(self, due: DueDelivery) -> Callable[[Tx], None]:
        """What is to be written about this attempt."""
        try:
            secrets = [self._sealer.open(sealed, sealed_for(due.webhook_id)) for sealed in due.secrets]
            signed = headers(due.id, self._clock() // 1000, due.body, secrets)
            answer = await self._receivers.post(due.url, due.body.encode(), signed)
        except (AddressRefused, SecretUnreadable) as refused:
            reason = str(refused)
            log.warning("webhook message %s was given up: %s", due.id, reason)
            return lambda tx: actions.note_failure(tx, due, None, reason, self._clock(), final=True)
        except NotDelivered as silent:
            reason = str(silent)
            return lambda tx: actions.note_failure(tx, due, None, reason, self._clock())
        if answer.accepted:
            return lambda tx: actions.note_delivered(tx, due, answer.status, self._clock())
        return lambda tx: self._refused(tx, due, answer.status, gone=answer.gone)

    def _refused(self, tx: Tx, due: DueDelivery, status: int, *, gone: bool) -> None:
        if gone:
            actions.switch_off(tx, due, "the receiver answered 410 Gone: it wants no more messages")
        actions.note_failure(tx, due, status, f"the receiver answered {status}", self._clock(), final=gone)
