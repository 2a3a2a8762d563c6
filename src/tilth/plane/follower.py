"""Follows the state that the control process publishes: reads it, loads what is new beside what serves, then swaps.

A deployment moves to a new generation only when all its versions are loaded, verified and warm; until then, and for ever if they
cannot be, the generation before serves on. Tokens and removed deployments take effect at once, whatever is loading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tilth.core import clock
from tilth.plane.batching import Core
from tilth.plane.conditions import condition_of
from tilth.plane.hung import HungMarks
from tilth.plane.last_good import LastGood
from tilth.plane.latency import Tally
from tilth.plane.loading import Loader, VersionRefused
from tilth.plane.serving import ServedDeployment
from tilth.plane.state import serving_state
from tilth.wire.plane import STATE_PATH, PlaneDeployment, PlaneState, VersionStatus

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_S = 0.2
LOADING_AT_ONCE = 3
"""Deployments that load at the same time, so that an environment that takes minutes to build holds up only its own."""
STATE_FORMAT = 1
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
PRUNE_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A generation that was refused here; it is tried again at `retry_at` (monotonic seconds), since the fault may be mended."""

    generation: int
    version: str
    error: str
    attempts: int
    retry_at: float


class Follower:
    """Lives on the event loop; models are loaded in a few threads of its own, one deployment in each."""

    def __init__(self, home: Path, core: Core, loader: Loader, changed: Callable[[], None]) -> None:
        """changed: called after each swap and refusal, so that the status goes out at once."""
        self._path = home / STATE_PATH
        self._core = core
        self._loader = loader
        self._last_good = LastGood(home)
        self._marks = HungMarks(home)
        self._hung: frozenset[str] = frozenset()
        self._changed = changed
        self._threads = ThreadPoolExecutor(LOADING_AT_ONCE, thread_name_prefix="model-loading")
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._wanted: PlaneState | None = None
        self._looked = False
        self._seen: tuple[int, int, int] | None = None
        self._served: dict[str, ServedDeployment] = {}
        self._next_prune = clock.monotonic() + PRUNE_EVERY_S
        self.refusals: dict[str, Refusal] = {}
        self.tallies: dict[str, Tally] = {}

    @property
    def settled(self) -> bool:
        """Whether the state was looked for and all that it wants serves or was refused."""
        wanted = self._wanted.deployments if self._wanted is not None else ()
        return self._looked and not self._loading and not any(map(self._is_pending, wanted))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._read_if_new()
            self._hung = self._marks.known()
            self._looked = True
            if self._wanted is not None:
                self._load_pending(self._wanted)
                await self._prune_now_and_then(self._wanted)
            await asyncio.sleep(POLL_S)

    def conditions(self, wanted: PlaneDeployment) -> tuple[VersionStatus, ...]:
        """What became of each version that the deployment wants."""
        served = self._served.get(wanted.id)
        there = {version.key: version for version in served.versions} if served is not None else {}
        refusal = self._refusal_of(wanted)
        statuses = []
        for version in wanted.versions:
            if refusal is not None and version.key == refusal.version:
                statuses.append(VersionStatus(version.key, "failed", error=refusal.error))
            elif version.key in there:
                statuses.append(condition_of(there[version.key]))
            else:
                statuses.append(VersionStatus(version.key, "loading"))
        return tuple(statuses)

    def _read_if_new(self) -> None:
        # A few kilobytes from the page cache: not worth a thread.
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp == self._seen:
                return
            state = msgspec.json.decode(self._path.read_bytes(), type=PlaneState)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            logger.error("the state from the control process cannot be read, the last one serves on: %s", error)
            return
        self._seen = stamp
        if state.format != STATE_FORMAT:
            logger.error(
                "the state is of format %d, this worker reads %d: restart it after an upgrade", state.format, STATE_FORMAT
            )
            return
        self._wanted = state
        # A new dictionary: what is loading holds the tally that it began with.
        self.tallies = {deployment.id: self.tallies.get(deployment.id) or Tally() for deployment in state.deployments}
        for deployment in state.deployments:
            self.tallies[deployment.id].forget_versions([version.key for version in deployment.versions])
        self._publish()

    def _publish(self) -> None:
        assert self._wanted is not None
        ids = {deployment.id for deployment in self._wanted.deployments}
        self._served = {id_: served for id_, served in self._served.items() if id_ in ids}
        self.refusals = {id_: refusal for id_, refusal in self.refusals.items() if id_ in ids}
        failures = {d.id: refusal.error for d in self._wanted.deployments if (refusal := self._refusal_of(d)) is not None}
        self._core.state = serving_state(self._wanted, self._served, failures, self._core.state)
        self._changed()

    def _load_pending(self, wanted: PlaneState) -> None:
        for id_, task in list(self._loading.items()):
            if task.done():
                del self._loading[id_]
                task.result()
        for deployment in wanted.deployments:
            if len(self._loading) >= LOADING_AT_ONCE:
                return
            if deployment.id not in self._loading and self._is_pending(deployment):
                self._loading[deployment.id] = asyncio.create_task(self._load(deployment, wanted.control_url))

    async def _prune_now_and_then(self, wanted: PlaneState) -> None:
        if clock.monotonic() > self._next_prune and not self._loading:
            self._next_prune = clock.monotonic() + PRUNE_EVERY_S
            # What still serves is needed again after a restart.
            specs = [*wanted.deployments, *(served.spec for served in self._served.values())]
            digests = {version.manifest_digest for spec in specs for version in spec.versions}
            await self._aside(self._loader.prune, digests)
            await self._aside(self._last_good.prune, {deployment.id for deployment in wanted.deployments})

    def _is_pending(self, wanted: PlaneDeployment) -> bool:
        served = self._served.get(wanted.id)
        # One that hung in another model server is loaded anew: in a process, before it hangs here.
        if served is not None and served.spec == wanted and all(v.remark or v.digest not in self._hung for v in served.versions):
            return False
        refusal = self._refusal_of(wanted)
        return refusal is None or clock.monotonic() >= refusal.retry_at

    def _refusal_of(self, wanted: PlaneDeployment) -> Refusal | None:
        """Of this generation; `refusals` may still hold that of an earlier one."""
        refusal = self.refusals.get(wanted.id)
        return refusal if refusal is not None and refusal.generation == wanted.generation else None

    async def _load(self, deployment: PlaneDeployment, control_url: str) -> None:
        tally = self.tallies[deployment.id]
        try:
            served = await self._aside(self._loader.load, deployment, control_url, tally)
            await self._aside(self._note_served, deployment)
        except Exception as error:  # noqa: BLE001 a refusal with its reason, or a fault of ours that must not end the following
            self._refused(deployment, error)
            if deployment.id not in self._served:
                await self._go_on_as_before(deployment, control_url, tally)
        else:
            if (newer := self._served.get(deployment.id)) is None or newer.spec.generation <= deployment.generation:
                self._served[deployment.id] = served
            self.refusals.pop(deployment.id, None)
            logger.info("deployment %s/%s serves generation %d", deployment.project, deployment.name, deployment.generation)
        self._publish()

    async def _go_on_as_before(self, refused: PlaneDeployment, control_url: str, tally: Tally) -> None:
        """After a restart nothing serves yet that could serve on."""
        earlier = await self._aside(self._last_good.before, refused)
        if earlier is None:
            return
        try:
            served = await self._aside(self._loader.load, earlier, control_url, tally)
        except Exception as error:  # noqa: BLE001 as above; what counts is told of the newer one
            logger.error("generation %d of %s/%s is refused, too: %s", earlier.generation, earlier.project, earlier.name, error)
            return
        self._served.setdefault(refused.id, served)
        logger.info("deployment %s/%s serves generation %d, as before", earlier.project, earlier.name, earlier.generation)

    def _note_served(self, deployment: PlaneDeployment) -> None:
        try:
            self._last_good.note(deployment)
        except OSError as error:
            logger.error("that generation %d of %s serves cannot be noted: %s", deployment.generation, deployment.name, error)

    async def _aside(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def _refused(self, deployment: PlaneDeployment, error: Exception) -> None:
        before = self._refusal_of(deployment)
        attempts = before.attempts + 1 if before is not None else 1
        self.refusals[deployment.id] = Refusal(
            generation=deployment.generation,
            version=error.key if isinstance(error, VersionRefused) else "",
            error=str(error)[:1000] or type(error).__name__,
            attempts=attempts,
            retry_at=clock.monotonic() + min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** (attempts - 1)),
        )
        if attempts == 1:
            logger.error(
                "generation %d of deployment %s/%s is refused: %s",
                deployment.generation,
                deployment.project,
                deployment.name,
                error,
                exc_info=None if isinstance(error, VersionRefused) else error,
            )
