"""What can be wrong with a sweep."""

from __future__ import annotations

from tilth.core.errors import Conflict, Invalid, NotFound


class InvalidSweep(Invalid):
    """The space or the settings of a sweep make no sense."""


class SweepTaken(Conflict):
    def __init__(self, run_id: str, seconds: float) -> None:
        super().__init__(
            f"sweep {run_id} is being run by another process, which is alive; stop it there or with `tilth sweep stop {run_id}`, "
            f"or wait: {seconds:.0f} s after its last sign it can be taken over"
        )


class NoSweep(NotFound):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is no sweep; `tilth sweep list` shows those there are")


class OtherSweep(Conflict):
    def __init__(self, run_id: str, what: str) -> None:
        super().__init__(f"sweep {run_id} was begun with another {what}; resume it as it was begun, or start a new sweep")


class NoObjective(Invalid):
    def __init__(self, metric: str, logged: list[str]) -> None:
        has = f"it logged: {', '.join(logged[:10])}" if logged else "it logged none"
        super().__init__(f"the trial neither returned a number nor logged the metric {metric!r}; {has}")


class TooManyFailures(Conflict):
    def __init__(self, run_id: str, count: int, last: str) -> None:
        super().__init__(
            f"{count} trials in a row failed, the last with: {last[:500]}; mend it and go on with `tilth sweep resume {run_id}`, "
            f"or with tilth.sweep(..., resume={run_id!r})"
        )


class MissingOptuna(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "the sampler `optuna` needs the library optuna: install it with `pip install 'path/to/the/clone[sweep]'`, or use `random`"
        )


class TrialStopped(Exception):
    """Raised by `trial.report` where going on is not worth it. Let it through: the sweep answers it."""
