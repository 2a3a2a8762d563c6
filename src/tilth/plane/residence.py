"""Lazy versions: in memory while they are asked, and away after a while without requests or when the room is needed for others."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from tilth.core import clock
from tilth.core.errors import TilthError, Unavailable
from tilth.plane.engines import Engine
from tilth.plane.executors.process import resident_bytes

logger = logging.getLogger(__name__)


RETRY_S = 2.0
"""Pause after a version could not be loaded."""


class VersionNotLoaded(Unavailable):
    """A lazy version could not be loaded again for a request."""


class Resident:
    """A lazy version's engine, there or not. Thread-safe.

    entered and left: told after it was loaded and before it is unloaded. used: core.clock.monotonic() of its last request.
    """

    def __init__(
        self, key: str, build: Callable[[], Engine], first: Engine, size: int, least: int, idle_s: float, residence: Residence
    ) -> None:
        """build: loads it again. first: as it was verified. size: bytes that `first` takes. least: bytes that it always counts for.
        idle_s: 0 keeps it while there is room."""
        self.key = key
        self.entered: Callable[[Engine], None] = lambda engine: None
        self.left: Callable[[], None] = lambda: None
        self.idle_s = idle_s
        self.used = clock.monotonic()
        self.size = max(least, size)
        self._least = least
        self._build = build
        self._engine: Engine | None = first
        self._users = 0
        self._failed: tuple[float, VersionNotLoaded] | None = None
        self._guard = threading.Lock()
        self._residence = residence
        residence.take_in(self)

    @property
    def there(self) -> bool:
        return self._engine is not None

    @contextlib.contextmanager
    def use(self) -> Iterator[Engine]:
        """Loads it where it is away, while others wait for it. Raises VersionNotLoaded."""
        with self._guard:
            engine = self._engine or self._load()
            self._users += 1
        try:
            yield engine
        finally:
            with self._guard:
                self._users -= 1
                self.used = clock.monotonic()

    def unload(self) -> bool:
        """False where it is in use or away already."""
        if not self._guard.acquire(blocking=False):
            return False
        try:
            engine = self._engine
            if engine is None or self._users:
                return False
            # From here on requests take the lane, where loading it again holds up nobody else.
            self.left()
            self._engine = None
        finally:
            self._guard.release()
        engine.close()
        logger.info("version %s is unloaded", self.key)
        return True

    def close(self) -> None:
        """For good."""
        self._residence.forget(self)
        with self._guard:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _load(self) -> Engine:
        if self._failed is not None and clock.monotonic() < self._failed[0]:
            # What just failed for a request need not hold up those that waited behind it, too.
            raise self._failed[1]
        self._residence.make_room(self)
        try:
            engine, size = weighed(self._build)
        except Exception as error:
            reason = str(error) if isinstance(error, TilthError) else f"{type(error).__name__}: {error}"
            failure = VersionNotLoaded(f"version {self.key} cannot be loaded: {reason[:300]}")
            self._failed = (clock.monotonic() + RETRY_S, failure)
            raise failure from error
        self.size = max(self._least, size)
        self._engine = engine
        self.used = clock.monotonic()
        self.entered(engine)
        logger.info("version %s is loaded for a request", self.key)
        return engine


class Residence:
    """All lazy versions of one worker. budget_bytes: what they may take together, 0 for no bound."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._all: WeakSet[Resident] = WeakSet()
        self._guard = threading.Lock()

    def take_in(self, resident: Resident) -> None:
        with self._guard:
            self._all.add(resident)

    def forget(self, resident: Resident) -> None:
        with self._guard:
            self._all.discard(resident)

    @property
    def empty(self) -> bool:
        return not self._all

    def fits(self) -> bool:
        return not self._budget or sum(each.size for each in self._present()) <= self._budget

    def make_room(self, comer: Resident) -> None:
        """Unloads those used longest ago until `comer` fits; where all others are in use, it comes all the same."""
        if not self._budget:
            return
        others = sorted((each for each in self._present() if each is not comer), key=lambda each: each.used)
        held = sum(each.size for each in others)
        for other in others:
            if held + comer.size <= self._budget:
                break
            if other.unload():
                held -= other.size
        give_back_memory()

    def sweep(self, now: float) -> None:
        """Unloads what had no request for its `idle_s`. now: monotonic seconds."""
        gone = [each.unload() for each in self._present() if each.idle_s and now - each.used > each.idle_s]
        if any(gone):
            give_back_memory()

    def _present(self) -> list[Resident]:
        with self._guard:
            return [each for each in self._all if each.there]


class LazyPredictor:
    """A table of numbers for a version that may be away."""

    def __init__(self, resident: Resident, engine: str) -> None:
        self.engine = engine
        self._resident = resident

    def predict(self, rows: Any) -> Any:
        with self._resident.use() as engine:
            return engine.predictor.predict(rows)  # type: ignore[union-attr]


class LazyArrayPredictor:
    """Arrays by name for a version that may be away."""

    def __init__(self, resident: Resident, engine: str) -> None:
        self.engine = engine
        self._resident = resident

    def predict_arrays(self, arrays: Any) -> Any:
        with self._resident.use() as engine:
            return engine.predictor.predict_arrays(arrays)  # type: ignore[union-attr]


def weighed(build: Callable[[], Engine]) -> tuple[Engine, int]:
    """The engine and the bytes that it takes: those of its processes, or by how much this one grew, to which others that load at the same
    time add theirs until it is loaded again."""
    before = resident_bytes("self")
    engine = build()
    return engine, resident_bytes("self") - before if engine.pool is None else engine.pool.memory_bytes()


def give_back_memory() -> None:
    """What Python freed goes back to the system, where the C library knows how."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
