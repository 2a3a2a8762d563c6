"""Events reach their subscribers at least once, and what cannot be delivered stays visible."""

import threading
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.backends.sql import Database, outbox
from tilth.backends.sql.outbox import Dispatcher, back_off
from tilth.core.clock import HOUR, SECOND, Millis
from tilth.core.events import Event, Subscriptions


@dataclass(frozen=True, slots=True)
class Sown(Event):
    name: ClassVar[str] = "seed.sown"

    field: str
    grams: int = 1


class FakeClock:
    def __init__(self) -> None:
        self.moment = Millis(1_700_000_000_000)

    def __call__(self) -> Millis:
        return self.moment


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_an_event_is_delivered_after_the_commit_and_only_once_if_all_goes_well(database: Database, clock: FakeClock) -> None:
    subscriptions, heard = Subscriptions(), list[Sown]()
    subscriptions.on(Sown, heard.append)
    dispatcher = Dispatcher(database, subscriptions, clock)
    database.write_blocking(lambda tx: outbox.add(tx, Sown("north", 3)))
    assert dispatcher.deliver_due() == 1
    assert heard == [Sown("north", 3)]
    assert dispatcher.deliver_due() == 0
    assert database.read_blocking(outbox.waiting) == 0


def test_an_event_of_a_job_that_failed_is_never_told(database: Database, clock: FakeClock) -> None:
    subscriptions, heard = Subscriptions(), list[Sown]()
    subscriptions.on(Sown, heard.append)

    def fails(tx: outbox.Tx) -> None:
        outbox.add(tx, Sown("north"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write_blocking(fails)
    assert Dispatcher(database, subscriptions, clock).deliver_due() == 0
    assert heard == []


def test_only_the_subscriber_that_failed_hears_again_with_the_same_key(database: Database, clock: FakeClock) -> None:
    subscriptions, well, badly = Subscriptions(), list[str](), list[str]()

    def listens(event: Sown) -> None:
        well.append(event.field)

    def stumbles(event: Sown, key: str) -> None:
        badly.append(key)
        if len(badly) == 1:
            raise ConnectionError("receiver is down")

    subscriptions.on(Sown, stumbles)
    subscriptions.on(Sown, listens)
    dispatcher = Dispatcher(database, subscriptions, clock)
    database.write_blocking(lambda tx: outbox.add(tx, Sown("north"), key="sowing-1"))
    assert dispatcher.deliver_due() == 1
    assert dispatcher.deliver_due() == 0, "the back-off is not over"
    clock.moment = Millis(clock.moment + SECOND)
    assert dispatcher.deliver_due() == 1
    assert (well, badly) == (["north"], ["sowing-1", "sowing-1"])
    assert database.read_blocking(outbox.waiting) == 0


def test_what_cannot_be_delivered_becomes_a_dead_letter_that_can_be_tried_again(database: Database, clock: FakeClock) -> None:
    subscriptions, working = Subscriptions(), list[bool]()

    def stumbles(event: Sown) -> None:
        if not working:
            raise ConnectionError("receiver is down")

    subscriptions.on(Sown, stumbles)
    dispatcher = Dispatcher(database, subscriptions, clock, max_attempts=3)
    database.write_blocking(lambda tx: outbox.add(tx, Sown("north")))
    for _ in range(5):
        dispatcher.deliver_due()
        clock.moment = Millis(clock.moment + HOUR)
    (letter,) = database.read_blocking(outbox.dead_letters)
    assert (letter.event, letter.payload, letter.attempts) == ("seed.sown", {"field": "north", "grams": 1}, 3)
    assert "receiver is down" in letter.last_error
    working.append(True)
    assert database.write_blocking(lambda tx: outbox.retry(tx, letter.id))
    assert not database.write_blocking(lambda tx: outbox.retry(tx, "no such id"))
    assert dispatcher.deliver_due() == 1
    assert database.read_blocking(outbox.dead_letters) == []


def test_a_delivery_that_died_half_way_is_taken_up_again_after_its_lease(database: Database, clock: FakeClock) -> None:
    subscriptions, heard = Subscriptions(), list[str]()

    def dies(event: Sown) -> None:
        heard.append(event.field)
        if len(heard) == 1:
            raise SystemExit

    subscriptions.on(Sown, dies)
    database.write_blocking(lambda tx: outbox.add(tx, Sown("north")))
    with pytest.raises(SystemExit):
        Dispatcher(database, subscriptions, clock).deliver_due()
    second = Dispatcher(database, subscriptions, clock)
    assert second.deliver_due() == 0
    clock.moment = Millis(clock.moment + outbox.LEASE)
    assert second.deliver_due() == 1
    assert heard == ["north", "north"]


def test_dispatchers_side_by_side_share_the_events(database: Database, clock: FakeClock) -> None:
    subscriptions, heard = Subscriptions(), list[str]()
    subscriptions.on(Sown, lambda event: heard.append(event.field))
    database.write_blocking(lambda tx: [outbox.add(tx, Sown(str(i))) for i in range(120)])
    dispatchers = [Dispatcher(database, subscriptions, clock) for _ in range(3)]
    threads = [threading.Thread(target=lambda d=d: [d.deliver_due() for _ in range(4)]) for d in dispatchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while dispatchers[0].deliver_due():
        pass
    assert sorted(heard) == sorted(str(i) for i in range(120))


def test_a_running_dispatcher_wakes_up_by_itself(database: Database, clock: FakeClock) -> None:
    subscriptions, heard = Subscriptions(), threading.Event()
    subscriptions.on(Sown, lambda event: heard.set())
    dispatcher = Dispatcher(database, subscriptions, clock)
    dispatcher.start(poll_s=60)
    database.write_blocking(lambda tx: outbox.add(tx, Sown("north")))
    assert heard.wait(10)
    dispatcher.stop()


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_the_back_off_grows_and_never_exceeds_an_hour(attempts: int, jitter: float) -> None:
    assert SECOND / 2 <= back_off(attempts, jitter) <= HOUR
    assert back_off(attempts, jitter) <= back_off(attempts + 1, jitter)
