"""Events that nobody could take are visible and can be sent again."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.backends.sql import outbox
from tilth.cli.checks.answers import check_events
from tilth.core.events import Event, Subscriptions
from tilth.core.home import Target


@dataclass(frozen=True, slots=True)
class Rang(Event):
    name = "bell.rang"
    bell: str


def test_a_dead_event_is_shown_with_its_reason_and_delivered_after_a_retry(installation):
    database, clock = installation.system.database, installation.system.clock
    heard: list[str] = []

    def refuse(event: Rang) -> None:
        if not heard:
            heard.append("refused")
            raise LookupError(f"nobody is at {event.bell}")
        heard.append(event.bell)

    subscriptions = Subscriptions()
    subscriptions.on(Rang, refuse)
    dispatcher = outbox.Dispatcher(database, subscriptions, clock, max_attempts=1)
    database.write_blocking(lambda tx: outbox.add(tx, Rang("front")))
    while dispatcher.deliver_due():
        pass

    (dead,) = installation.client.get("/api/v1/outbox").json()["dead"]
    assert dead["event"] == "bell.rang"
    assert "nobody is at front" in dead["error"]
    target = Target(installation.url, installation.owner_token, "default")
    told = check_events(target)
    assert (told.condition, dead["id"] in told.found) == ("broken", True)

    assert installation.client.post(f"/api/v1/outbox/{dead['id']}/retry").json()["dead"] == []
    assert check_events(target).condition == "ok"
    while dispatcher.deliver_due():
        pass
    assert heard == ["refused", "front"]
    assert installation.client.post(f"/api/v1/outbox/{dead['id']}/retry").status_code == 404
