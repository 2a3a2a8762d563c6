"""The outbox: an event is written in the transaction of the change it tells of, and delivered after the commit."""

from __future__ import annotations

import inspect
import logging
import random
import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    Table,
    bindparam,
    delete,
    false,
    func,
    insert,
    select,
    true,
    update,
)

from tilth.backends.sql.database import Database
from tilth.backends.sql.hot import Row, hot
from tilth.backends.sql.schema import Document, Str, metadata
from tilth.backends.sql.tx import Tx
from tilth.core.clock import HOUR, MINUTE, SECOND, Clock, Millis, now
from tilth.core.events import Event, Subscriber, Subscriptions
from tilth.core.ids import new_id

log = logging.getLogger("tilth.outbox")

TOPIC = "outbox"
MAX_ATTEMPTS = 12
LEASE = Millis(2 * MINUTE)
"""A dispatcher that died in the middle of a delivery holds it up for this long."""
BATCH = 50

outbox = Table(
    "outbox",
    metadata,
    Column("id", Str, primary_key=True),
    Column("event", Str, nullable=False),
    Column("key", Str, nullable=False),
    Column("payload", Document, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("delivered_to", Document, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("last_error", Str),
    Index("ix_outbox_due", "dead", "next_at", "id"),
)

_ADD = hot(insert(outbox))
_DUE = (outbox.c.dead == false()) & (outbox.c.next_at <= bindparam("now"))
_ANY_DUE = hot(select(outbox.c.id).where(_DUE).limit(1))
_CLAIMABLE = hot(
    select(outbox.c.id).where(_DUE).order_by(outbox.c.next_at, outbox.c.id).limit(BATCH).with_for_update(skip_locked=True)
)
_CLAIM = hot(
    update(outbox)
    .where(outbox.c.id == bindparam("row"))
    .values(next_at=bindparam("until"), attempts=outbox.c.attempts + 1)
    .returning(outbox.c.id, outbox.c.event, outbox.c.key, outbox.c.payload, outbox.c.attempts, outbox.c.delivered_to)
)
_DELIVERED = hot(delete(outbox).where(outbox.c.id == bindparam("row")))
_FAILED = hot(
    update(outbox)
    .where(outbox.c.id == bindparam("row"))
    .values(next_at=bindparam("at"), dead=bindparam("given_up"), last_error=bindparam("said"), delivered_to=bindparam("reached"))
)
_DEAD = hot(
    select(
        outbox.c.id,
        outbox.c.event,
        outbox.c.key,
        outbox.c.payload,
        outbox.c.created_at,
        outbox.c.attempts,
        outbox.c.last_error,
    )
    .where(outbox.c.dead == true())
    .order_by(outbox.c.id)
    .limit(bindparam("at_most"))
)
_REVIVE = hot(
    update(outbox).where(outbox.c.id == bindparam("row"), outbox.c.dead == true()).values(dead=False, attempts=0, next_at=0)
)
_WAITING = hot(select(func.count()).select_from(outbox).where(outbox.c.dead == false()))


def add(tx: Tx, event: Event, *, key: str | None = None) -> None:
    """Tells the world of `event` once this transaction is committed; at least once, in no promised order.

    key: handed to subscribers that take a parameter `key`, to recognise a second delivery; unique to this call if not given.
    """
    row_id = new_id()
    tx.run(
        _ADD,
        id=row_id,
        event=event.name,
        key=key or row_id,
        payload=event.to_payload(),
        created_at=now(),
        attempts=0,
        next_at=0,
        delivered_to=[],
        dead=False,
        last_error=None,
    )
    tx.announce(TOPIC)


def dead_letters(tx: Tx, limit: int = 100) -> list[Row]:
    """Events that were given up, oldest first: id, event, key, payload, created_at, attempts, last_error."""
    return tx.all(_DEAD, at_most=limit)


def retry(tx: Tx, row_id: str) -> bool:
    """Delivers a dead letter again, to those subscribers that it has not reached. False if there is none with this id."""
    revived = tx.run(_REVIVE, row=row_id) == 1
    if revived:
        tx.announce(TOPIC)
    return revived


def waiting(tx: Tx) -> int:
    """Events that are not delivered yet, dead letters apart."""
    return int(tx.scalar(_WAITING))


def back_off(attempts: int, jitter: float) -> Millis:
    """Wait before the next attempt after `attempts` failed ones: 1 s doubled each time, at most an hour, times 0.5 to 1.

    jitter: 0 <= jitter < 1, so that deliveries that failed together do not come back together.
    """
    return Millis(int(min(HOUR, SECOND * 2 ** min(attempts - 1, 30)) * (0.5 + jitter / 2)))


class Dispatcher:
    """Hands events to their subscribers. Several may run on one PostgreSQL database: a row is leased to one at a time."""

    def __init__(self, db: Database, subscriptions: Subscriptions, clock: Clock, *, max_attempts: int = MAX_ATTEMPTS) -> None:
        self._db = db
        self._subscriptions = subscriptions
        self._clock = clock
        self._max_attempts = max_attempts
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        db.listen(TOPIC, self._awake.set)

    def start(self, poll_s: float = 1.0) -> None:
        """Delivers from a thread of its own: at once what this process commits, within `poll_s` what another does."""
        self._thread = threading.Thread(target=self._serve, args=(poll_s,), name="tilth-outbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the delivery under way."""
        self._stopping.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join()

    def deliver_due(self) -> int:
        """Delivers what is due now and returns how many events were tried. Blocking; subscribers run in this thread."""
        moment = self._clock()
        if self._db.read_blocking(lambda tx: tx.one(_ANY_DUE, now=moment)) is None:
            return 0
        claimed = self._db.write_blocking(lambda tx: _claim(tx, moment))
        for row in claimed:
            self._deliver(row)
        return len(claimed)

    def _serve(self, poll_s: float) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                while not self._stopping.is_set() and self.deliver_due():
                    pass
            except Exception:
                log.exception("the outbox could not be read; it is tried again in %.0f s", poll_s)
            self._awake.wait(poll_s)

    def _deliver(self, row: Row) -> None:
        reached: list[str] = list(row.delivered_to)
        failures: list[str] = []
        for name, event, subscriber in _named(self._subscriptions, row.event):
            if name in reached:
                continue
            try:
                _hand_over(subscriber, event.from_payload(row.payload), row.key)
                reached.append(name)
            except Exception as error:
                log.warning("event %s (%s) did not reach %s", row.event, row.id, name, exc_info=True)
                failures.append(f"{name}: {type(error).__name__}: {error}")
        if not failures:
            self._db.write_blocking(lambda tx: tx.run(_DELIVERED, row=row.id))
            return
        self._db.write_blocking(lambda tx: self._put_off(tx, row, reached, "; ".join(failures)))

    def _put_off(self, tx: Tx, row: Row, reached: Sequence[str], said: str) -> None:
        given_up = row.attempts >= self._max_attempts
        at = self._clock() + back_off(row.attempts, random.random())
        tx.run(_FAILED, row=row.id, at=at, given_up=given_up, said=said.replace("\0", "")[:2000], reached=list(reached))


def _claim(tx: Tx, moment: Millis) -> list[Row]:
    due = tx.all(_CLAIMABLE, now=moment)
    return [row for found in due for row in tx.all(_CLAIM, row=found.id, until=moment + LEASE)]


def _named(subscriptions: Subscriptions, event: str) -> list[tuple[str, type[Event], Subscriber]]:
    """Subscribers under names that stay the same over a restart, as long as wiring registers them in the same order."""
    found: list[tuple[str, type[Event], Subscriber]] = []
    for kind, subscriber in subscriptions.subscribers(event):
        name = f"{getattr(subscriber, '__module__', '')}.{getattr(subscriber, '__qualname__', type(subscriber).__qualname__)}"
        twins = sum(1 for other, _, _ in found if other.partition("#")[0] == name)
        found.append((f"{name}#{twins}" if twins else name, kind, subscriber))
    return found


def _hand_over(subscriber: Any, event: Event, key: str) -> None:
    if "key" in inspect.signature(subscriber).parameters:
        subscriber(event, key=key)
    else:
        subscriber(event)
