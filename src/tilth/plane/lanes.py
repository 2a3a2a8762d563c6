"""Predictions beside the event loop: of versions that are slow, that run in processes of their own, or of large requests.

Whatever waited while a prediction ran joins the next one. A version that hangs fails its own requests alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tilth.core import clock
from tilth.core.errors import Unavailable
from tilth.plane.asks import BATCH_ROWS, Ask, late, predict_piece, predict_together
from tilth.plane.lane import Lane, PredictionTooSlow, VersionStuck

Settle = Callable[[Sequence[Ask]], None]


class _Job:
    """What one thread does at a time: one prediction."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        self.asks = asks
        self.done = False
        self.overdue = False
        self.timer: asyncio.TimerHandle | None = None

    def run(self) -> None:
        if self.asks[0].large:
            predict_piece(self.asks[0])
        else:
            predict_together(self.asks)


class Lanes:
    """Belongs to the event loop. settle: answers asks that have an outcome or a failure, leaving out those that are answered."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle

    def enter(self, ask: Ask) -> None:
        """Its rows count in the tally's `queued_rows`, or it is large and counts in `large_pending`; both until it leaves the lane."""
        lane = ask.version.lane
        if lane.stuck:
            _let_go(ask)
            self._give_up([ask], VersionStuck(ask.version.key))
            return
        if ask.deadline is not None:
            left = max(0.0, ask.deadline - clock.perf())
            ask.timer = asyncio.get_running_loop().call_later(left, self._expire, ask)
        lane.waiting.append(ask)
        self._pump(lane)

    def _pump(self, lane: Lane[Ask]) -> None:
        loop = asyncio.get_running_loop()
        while lane.waiting and lane.has_room:
            asks = _next_batch(lane)
            if not asks:
                continue
            job = _Job(asks)
            lane.running += 1
            future = loop.run_in_executor(lane.threads, job.run)
            future.add_done_callback(lambda finished, job=job: self._leave(lane, job, finished))  # type: ignore[misc]
            if lane.pool is None:  # a pool ends its processes itself
                job.timer = loop.call_later(lane.timeout_s, self._check, lane, job)
        if lane.pool is not None:
            lane.pool.waiting_since = lane.waiting[0].arrived if lane.waiting else None

    def _leave(self, lane: Lane[Ask], job: _Job, finished: asyncio.Future[None]) -> None:
        job.done = True
        if job.timer is not None:
            # It would keep bodies and results in memory until it is due.
            job.timer.cancel()
        lane.running -= 1
        if job.overdue:
            lane.overdue -= 1
        if finished.cancelled():
            return
        finished.result()
        if job.asks[0].unfinished:
            # Behind those that came meanwhile.
            lane.waiting.append(job.asks[0])
            self._pump(lane)
            return
        for ask in job.asks:
            if ask.large:
                ask.served.tally.large_pending -= 1
            if ask.failure is None and ask.past_deadline():
                ask.failure = late()
        self._settle(job.asks)
        self._pump(lane)

    def _check(self, lane: Lane[Ask], job: _Job) -> None:
        """A thread cannot be ended: its requests are answered, and the version is refused until it comes back."""
        if job.done:
            return
        job.overdue = True
        lane.overdue += 1
        self._give_up(job.asks, PredictionTooSlow(job.asks[0].version.key, lane.timeout_s))
        waiting = list(lane.waiting)
        lane.waiting.clear()
        for ask in waiting:
            _let_go(ask)
            self._give_up([ask], VersionStuck(ask.version.key))

    def _expire(self, ask: Ask) -> None:
        if not ask.answered:
            self._give_up([ask], late())

    def _give_up(self, asks: Sequence[Ask], failure: Unavailable) -> None:
        for ask in asks:
            ask.failure = failure
        self._settle(asks)


def _next_batch(lane: Lane[Ask]) -> list[Ask]:
    """One large request, or those that can be predicted together, in order of arrival; the others keep their places."""
    first = lane.waiting[0]
    if first.large:
        lane.waiting.popleft()
        if first.answered:
            first.served.tally.large_pending -= 1
            return []
        return [first]
    asks: list[Ask] = []
    rows = 0
    kept: list[Ask] = []
    while lane.waiting:
        ask = lane.waiting.popleft()
        if ask.large or ask.group != first.group or (asks and rows + ask.rows > BATCH_ROWS):
            kept.append(ask)
            continue
        _let_go(ask)
        if not ask.answered:
            rows += ask.rows
            asks.append(ask)
    lane.waiting.extend(kept)
    return asks


def _let_go(ask: Ask) -> None:
    if ask.large:
        ask.served.tally.large_pending -= 1
    else:
        ask.served.tally.queued_rows -= ask.rows
