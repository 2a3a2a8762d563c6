"""What a training function is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tilth.sdk.active import Run
from tilth.sdk.sweeps.errors import TrialStopped


class Trial:
    """One trial under way. params: its values; `trial["depth"]` is one of them. run: the run it writes to.

    number: counts from 1.
    """

    def __init__(
        self, number: int, params: Mapping[str, Any], run: Run, metric: str, judge: Callable[[int, int, float], bool]
    ) -> None:
        self.number = number
        self.params = dict(params)
        self.run = run
        self._metric = metric
        self._judge = judge
        self._steps = 0

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    def report(self, value: float, step: int | None = None) -> None:
        """Logs the metric of the sweep at `step` (counted from 0 if left out). Raises TrialStopped where going on is not worth it.

        Without it a trial cannot be stopped early.
        """
        at = self._steps if step is None else step
        self._steps = at + 1
        self.run.log({self._metric: value}, step=at)
        if self._judge(self.number, at, float(value)):
            raise TrialStopped

    def __repr__(self) -> str:
        return f"<Trial {self.number} {self.params}>"
