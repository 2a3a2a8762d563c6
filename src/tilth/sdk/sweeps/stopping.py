"""Early stopping: pure rules over what trials reported."""

from __future__ import annotations

import math
from statistics import median

from tilth.wire.sweeps import EarlyStopping, Goal


class Reports:
    """Values of every trial by step. Not thread-safe: the sweep holds its lock."""

    def __init__(self, rule: EarlyStopping | None, goal: Goal) -> None:
        self._rule = rule
        self._sign = 1.0 if goal == "maximize" else -1.0
        self._best: dict[int, list[tuple[int, float]]] = {}

    def add(self, trial: int, step: int, value: float) -> bool:
        """Notes a value; whether the trial shall stop. NaN is the worst of all values."""
        worth = -math.inf if math.isnan(value) else self._sign * value
        own = self._best.setdefault(trial, [])
        best = max(worth, own[-1][1]) if own else worth
        last = own[-1][0] if own else -1
        own.append((max(step, last), best))
        if self._rule is None or step < self._rule.min_steps:
            return False
        if self._rule.rule == "median":
            return self._below_median(trial, step, best)
        return self._out_of_the_rung(trial, max(last, -1), step, best)

    def _below_median(self, trial: int, step: int, best: float) -> bool:
        others = self._reached(step, without=trial)
        return len(others) >= self._needed and best < median(others)

    def _out_of_the_rung(self, trial: int, last: int, step: int, best: float) -> bool:
        """Judged once at each rung, when it is first reached or passed."""
        assert self._rule is not None
        rung = max(1, self._rule.min_steps)
        while rung * self._rule.factor <= step:
            rung *= self._rule.factor
        if not last < rung <= step:
            return False
        values = sorted([*self._reached(rung, without=trial), best], reverse=True)
        if len(values) <= self._needed:
            return False
        keep = max(1, len(values) // self._rule.factor)
        return best < values[keep - 1]

    @property
    def _needed(self) -> int:
        return self._rule.min_trials if self._rule is not None else 0

    def _reached(self, step: int, *, without: int) -> list[float]:
        """The best that other trials had at `step`, of those that came as far."""
        found = []
        for trial, values in self._best.items():
            if trial != without and values[-1][0] >= step:
                found.append(max((best for at, best in values if at <= step), default=values[0][1]))
        return found
