"""Models that misbehave on request, saved as real scikit-learn estimators: what the first column says happens."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

RAISE, HANG, EXIT, CRASH, LEAK, SLOW, PID = 1001.0, 1002.0, 1003.0, 1004.0, 1005.0, 1006.0, 1007.0
"""Rows whose first value is one of these make the model do so; others are answered with that value."""
LEAK_MB = 400
_kept: list[Any] = []


class Unruly(RegressorMixin, BaseEstimator):
    """`pause_s`: what each call takes besides."""

    def __init__(self, pause_s: float = 0.0, offset: float = 0.0) -> None:
        self.pause_s = pause_s
        self.offset = offset

    def fit(self, X: Any, y: Any) -> Unruly:  # noqa: N803 scikit-learn's names
        self.n_features_in_ = np.shape(X)[1]
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        table = np.asarray(X, dtype=float)
        asked = set(table[:, 0].tolist())
        if self.pause_s:
            time.sleep(self.pause_s)
        if RAISE in asked:
            raise ValueError("unlucky")
        if HANG in asked:
            time.sleep(3600)
        if EXIT in asked:
            os._exit(7)
        if CRASH in asked:
            ctypes.string_at(0)
        if LEAK in asked:
            _kept.append(np.ones(LEAK_MB << 17))
            time.sleep(3600)
        if SLOW in asked:
            time.sleep(0.5)
        if PID in asked:
            return np.full(len(table), float(os.getpid()))
        return table[:, 0] + self.offset
