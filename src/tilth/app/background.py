"""Work that runs beside the requests of the control process: each job in a loop of its own, so that a failing one stops no other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

log = logging.getLogger("tilth.background")


@dataclass(frozen=True, slots=True)
class Job:
    """work: one round, safe to repeat. every_s: pause after each round. wake: set it to begin the next round at once.

    first_after_s: pause before the first round.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    every_s: float
    wake: asyncio.Event | None = None
    first_after_s: float = 0.0


@contextlib.asynccontextmanager
async def running(jobs: Sequence[Job]) -> AsyncIterator[None]:
    """Runs the jobs while the block runs; at its end each one is stopped between two rounds or at its next await."""
    tasks = [asyncio.create_task(_loop(job), name=job.name) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _loop(job: Job) -> None:
    await asyncio.sleep(job.first_after_s)
    while True:
        try:
            await job.work()
        except Exception:
            # The outermost loop of this job: the log has the reason, and the next round may succeed.
            log.exception("background job %s failed; it runs again in %.1f s", job.name, job.every_s)
        if job.wake is None:
            await asyncio.sleep(job.every_s)
            continue
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(job.wake.wait(), job.every_s)
        job.wake.clear()
