"""The loop of a sweep: asks for values, runs trials side by side, tells what came of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tilth.core.clock import monotonic
from tilth.core.errors import TilthError
from tilth.sdk.sweeps.board import Board, Standing, TrialResult
from tilth.sdk.sweeps.errors import TooManyFailures
from tilth.sdk.sweeps.samplers import Sampler
from tilth.sdk.sweeps.space import Value
from tilth.sdk.sweeps.stopping import Reports
from tilth.wire.sweeps import SweepState, is_better


class Execute(Protocol):
    """Runs one trial in a child run, whatever becomes of it; judge(number, step, value) says whether it shall stop.

    None: it was cut off by a wish to stop the sweep, and is run once more when the sweep goes on.
    """

    def __call__(self, number: int, params: dict[str, Value], judge: Callable[[int, int, float], bool]) -> TrialResult | None: ...


class Loop:
    """done: over trials, in the order in which they ended. on_done: called after each."""

    def __init__(
        self, board: Board, sampler: Sampler, standing: Standing, execute: Execute, on_done: Callable[[TrialResult, Loop], None]
    ) -> None:
        self.spec = board.spec
        self.done = list(standing.done)
        self._board, self._sampler, self._execute, self._on_done = board, sampler, execute, on_done
        self._lock = threading.RLock()
        self._reports = Reports(self.spec.early_stopping, self.spec.goal)
        self._again = deque(sorted(standing.unfinished.items()))
        self._number = max([result.number for result in standing.done] + list(standing.unfinished), default=0)
        self._failures = 0
        self._deadline = monotonic() + self.spec.max_minutes * 60 if self.spec.max_minutes is not None else None
        self._broken: BaseException | None = None
        for result in sorted(standing.done, key=lambda result: result.number):
            sampler.tell(result.number, result.params, result.value)

    @property
    def best(self) -> TrialResult | None:
        best: TrialResult | None = None
        for result in self.done:
            if result.value is not None and (
                best is None or best.value is None or is_better(self.spec.goal, result.value, best.value)
            ):
                best = result
        return best

    def run(self) -> SweepState:
        """Returns when every trial is over. Raises TooManyFailures, and KeyboardInterrupt after the trials under way were told to stop."""
        if self.spec.parallel == 1:
            self._work()
        else:
            self._work_side_by_side()
        if self._broken is not None:
            raise self._broken
        return "stopped" if self._board.stop_wanted.is_set() else "finished"

    def judge(self, number: int, step: int, value: float) -> bool:
        with self._lock:
            return self._reports.add(number, step, value) or self._board.stop_wanted.is_set()

    def _work_side_by_side(self) -> None:
        workers = [
            threading.Thread(target=self._guarded, name=f"tilth-trial-{at}", daemon=True) for at in range(self.spec.parallel)
        ]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                while worker.is_alive():
                    worker.join(0.2)
        except KeyboardInterrupt:
            # Python cannot end a thread: each trial stops at its next report, or when it is over.
            self._board.stop_wanted.set()
            for worker in workers:
                worker.join()
            raise

    def _guarded(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that called, which raises it
            self._broken = self._broken or error
            self._board.stop_wanted.set()

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            result = self._execute(*asked, self.judge)
            if result is not None:
                self._ended(result)

    def _next(self) -> tuple[int, dict[str, Value]] | None:
        with self._lock:
            if self._board.stop_wanted.is_set() or (self._deadline is not None and monotonic() > self._deadline):
                return None
            if self._again:
                return self._again.popleft()
            if self._number >= self.spec.trials:
                return None
            params = self._sampler.ask(self._number + 1)
            if params is None:
                return None
            self._number += 1
            return self._number, params

    def _ended(self, result: TrialResult) -> None:
        with self._lock:
            self.done.append(result)
            self._sampler.tell(result.number, result.params, result.value)
            self._failures = self._failures + 1 if result.value is None else 0
            self._board.note_best(self.best)
            self._on_done(result, self)
            if self._failures >= self.spec.max_failures:
                raise TooManyFailures(self._board.parent.id, self._failures, result.error)


def run_to_the_end(board: Board, loop: Loop) -> SweepState:
    """The loop, and the board closed however it ends."""
    state: SweepState = "failed"
    reason = ""
    try:
        state = loop.run()
    except KeyboardInterrupt:
        state = "stopped"
        raise
    except TilthError as error:
        reason = str(error)
        raise
    finally:
        board.close(state, reason)
    return state
