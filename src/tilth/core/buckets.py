"""Token buckets: how often somebody may do something. Pure: the moment arrives as an argument."""

from __future__ import annotations

from collections.abc import Hashable

MOST_KEYS = 10_000


class Buckets:
    """One bucket per key, full at first. rate: tokens that come back each second; burst: most tokens in a bucket, at least 1.

    Remembers at most MOST_KEYS keys; when more come, the one that was used longest ago counts as full again.
    """

    __slots__ = ("_burst", "_held", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._held: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable, now: float) -> float:
        """0.0 when there was a token, which is gone now; else the seconds until there is one. now: monotonic seconds."""
        tokens = self._tokens(key, now)
        if tokens < 1.0:
            self._keep(key, now, tokens)
            return (1.0 - tokens) / self._rate
        self._keep(key, now, tokens - 1.0)
        return 0.0

    def give_back(self, key: Hashable, now: float) -> None:
        """Undoes a `take` that turned out not to count."""
        self._keep(key, now, min(self._burst, self._tokens(key, now) + 1.0))

    def __len__(self) -> int:
        return len(self._held)

    def _tokens(self, key: Hashable, now: float) -> float:
        held = self._held.get(key)
        return self._burst if held is None else min(self._burst, held[0] + (now - held[1]) * self._rate)

    def _keep(self, key: Hashable, now: float, tokens: float) -> None:
        self._held.pop(key, None)  # the order of the dict is the order of last use
        if len(self._held) >= MOST_KEYS:
            del self._held[next(iter(self._held))]
        self._held[key] = (tokens, now)
