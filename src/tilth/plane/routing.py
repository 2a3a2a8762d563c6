"""Which version answers a request: weights over versions, the same caller always meeting the same one. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Generic, TypeVar

from tilth.core.errors import Invalid

BUCKETS = 10_000

T = TypeVar("T")


class InvalidRoutes(Invalid):
    """The weights of a deployment do not share out all requests."""


def bucket(salt: str, key: bytes) -> int:
    """0 to 9,999: where a caller stands. Depends on salt and key alone, so it survives restarts and is equal in every worker."""
    return int.from_bytes(hashlib.blake2b(salt.encode() + key, digest_size=8).digest(), "little") % BUCKETS


class RouteTable(Generic[T]):
    """Consecutive ranges of buckets, in the order of the routes.

    The candidate stands first: when its weight grows from 5 to 20 to 50 %, every caller that met it before meets it again.
    """

    __slots__ = ("_bounds", "_salt", "_targets", "only")

    def __init__(self, salt: str, routes: Iterable[tuple[int, T]]) -> None:
        """routes: (weight in parts of 10,000, target). Raises InvalidRoutes unless the weights are >= 0 and add up to 10,000."""
        listed = [(weight, target) for weight, target in routes]
        if any(weight < 0 for weight, _ in listed) or sum(weight for weight, _ in listed) != BUCKETS:
            weights = [weight for weight, _ in listed]
            raise InvalidRoutes(f"route weights are {weights}; they must be >= 0 and add up to {BUCKETS}")
        taken = [(weight, target) for weight, target in listed if weight]
        self._salt = salt
        self._targets = [target for _, target in taken]
        self._bounds: list[int] = []
        reached = 0
        for weight, _ in taken:
            reached += weight
            self._bounds.append(reached)
        self.only: T | None = self._targets[0] if len(taken) == 1 else None
        """The one target, if there is no choice: callers then need no key."""

    @property
    def targets(self) -> tuple[T, ...]:
        return tuple(self._targets)

    def choose(self, key: bytes) -> T:
        if self.only is not None:
            return self.only
        place = bucket(self._salt, key)
        for bound, target in zip(self._bounds, self._targets, strict=True):
            if place < bound:
                return target
        return self._targets[-1]
