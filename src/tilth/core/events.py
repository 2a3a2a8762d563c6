"""Domain events: what a domain tells the world, without knowing who listens.

An action writes an event to the outbox in its own transaction; after the commit the dispatcher hands it to the subscribers
that `tilth.app.wiring` registered. Delivery is at least once, so a subscriber must not mind meeting an event twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, TypeVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base of domain events. Fields are plain JSON values; `name` is the stable name under which an event is stored."""

    name: ClassVar[str] = "event"

    def to_payload(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        return cls(**payload)


E = TypeVar("E", bound=Event)
Subscriber = Callable[[Any], None]


class Subscriptions:
    """Who hears what. Filled once at start, in `app/wiring.py`; read by the outbox dispatcher."""

    def __init__(self) -> None:
        self._subscribers: dict[str, list[Subscriber]] = {}
        self._types: dict[str, type[Event]] = {}

    def on(self, event: type[E], subscriber: Callable[[E], None]) -> None:
        self._types[event.name] = event
        self._subscribers.setdefault(event.name, []).append(subscriber)

    def subscribers(self, name: str) -> Iterator[tuple[type[Event], Subscriber]]:
        for subscriber in self._subscribers.get(name, []):
            yield self._types[name], subscriber
