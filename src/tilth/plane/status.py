"""What a worker tells the control process: one file, rewritten by atomic rename each second and after each change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

import msgspec

from tilth.core import clock
from tilth.plane.batching import Core
from tilth.plane.follower import Follower
from tilth.plane.latency import WINDOW_S
from tilth.plane.serving import Place
from tilth.plane.whole_files import write_whole
from tilth.wire.plane import STATUS_FOLDER, DeploymentStatus, WorkerStatus

logger = logging.getLogger(__name__)

EVERY_S = 1.0


class StatusReport:
    """`path` is where this worker's status stands."""

    def __init__(self, home: Path, worker: str, core: Core) -> None:
        self.path = home / STATUS_FOLDER / f"{worker}.json"
        self._worker = worker
        self._core = core
        self._started = clock.now()
        self._changed = asyncio.Event()
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def changed(self) -> None:
        """The next report goes out at once."""
        self._changed.set()

    async def run(self, follower: Follower) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            content = msgspec.json.encode(self.present(follower))
            try:
                # Lost by a power cut at worst, and then out of date anyway.
                await asyncio.to_thread(write_whole, self.path, content)
            except OSError as error:
                logger.error("the status cannot be written: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), EVERY_S)

    def withdraw(self) -> None:
        """Nothing more will come from this worker: nobody needs to wait for its lease to end."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def present(self, follower: Follower) -> WorkerStatus:
        state = self._core.state
        return WorkerStatus(
            worker=self._worker,
            pid=os.getpid(),
            started=self._started,
            written=clock.now(),
            sequence=state.sequence,
            deployments=tuple(_deployment(place, follower) for place in state.places),
        )


def _deployment(place: Place, follower: Follower) -> DeploymentStatus:
    wanted = place.wanted
    tally = follower.tallies[wanted.id]
    refusal = follower.refusals.get(wanted.id)
    return DeploymentStatus(
        id=wanted.id,
        acknowledged=place.served.spec.generation if place.served is not None else 0,
        failed_generation=refusal.generation if refusal is not None else 0,
        error=refusal.error if refusal is not None else "",
        versions=follower.conditions(wanted),
        requests=tally.requests,
        rows=tally.rows,
        errors=tally.errors,
        refused=tally.refused,
        latency_buckets=tuple(tally.buckets),
        window_buckets=tally.window(clock.perf()),
        window_s=WINDOW_S,
        window_errors=tally.window_errors(clock.perf()),
        log_failures=tally.log_failures,
        tallies=tuple(counts.present(key) for key, counts in tally.versions.items()),
    )
