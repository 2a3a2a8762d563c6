"""Counts of one version of one deployment in one worker: what rollouts and A/B tests are judged from. Hot path.

One row costs a bisection and a few increments; a batch is counted by NumPy.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from tilth.flavours.port import Arrays, Outputs
from tilth.wire.plane import VersionTally
from tilth.wire.scores import SCORE_BOUNDS, score_bucket

_BOUNDS = np.array(SCORE_BOUNDS)
_NUMBERS = "fiub"


class VersionCounts:
    """Only grows. Belongs to the event loop, or to the thread that made it."""

    __slots__ = ("_scores", "errors", "latency", "missing_scores", "refused", "requests", "rows")

    def __init__(self, buckets: int) -> None:
        """buckets: of the latency histogram."""
        self.requests = 0
        self.rows = 0
        self.errors = 0
        self.refused = 0
        self.missing_scores = 0
        self.latency = [0] * buckets
        self._scores: dict[int, int] = {}

    def answered(self, status: int, bucket: int) -> None:
        """One request. bucket: of its latency."""
        self.requests += 1
        self.latency[bucket] += 1
        if status >= 500:
            self.errors += 1
        elif status >= 400:
            self.refused += 1

    def note(self, outputs: Outputs | Arrays, rows: int) -> None:
        """Counts the scores of answered rows, see wire.scores. Arrays by name count by the first that holds one number for each row,
        or else by the first that holds several."""
        self.rows += rows
        if not rows:
            return
        table = outputs if isinstance(outputs, np.ndarray) else _deciding(outputs)
        if table is None:
            self.missing_scores += rows
            return
        if rows == 1 and table.ndim == 1:
            score = float(table[0])
            if isfinite(score):
                bucket = score_bucket(score)
                self._scores[bucket] = self._scores.get(bucket, 0) + 1
            else:
                self.missing_scores += 1
            return
        self._note_many(table)

    def _note_many(self, table: Outputs) -> None:
        if table.ndim == 2 and table.shape[1] == 1:
            table = table[:, 0]
        known = np.isfinite(table) if table.ndim == 1 else np.isfinite(table.reshape(len(table), -1)).all(axis=1)
        scores = table[known] if table.ndim == 1 else table[known].argmax(axis=1)
        self.missing_scores += len(table) - len(scores)
        counts = np.bincount(np.searchsorted(_BOUNDS, scores))
        for bucket in np.flatnonzero(counts).tolist():
            self._scores[bucket] = self._scores.get(bucket, 0) + int(counts[bucket])

    def take_in(self, noted: VersionCounts) -> None:
        """Rows and scores that another thread noted, since there were millions."""
        self.rows += noted.rows
        self.missing_scores += noted.missing_scores
        for bucket, count in noted._scores.items():
            self._scores[bucket] = self._scores.get(bucket, 0) + count

    def present(self, key: str) -> VersionTally:
        return VersionTally(
            key=key,
            requests=self.requests,
            rows=self.rows,
            errors=self.errors,
            refused=self.refused,
            latency_buckets=tuple(self.latency),
            scores=dict(self._scores),
            missing_scores=self.missing_scores,
        )


def _deciding(arrays: Arrays) -> Outputs | None:
    numeric = [array for array in arrays.values() if array.dtype.kind in _NUMBERS]
    for array in numeric:
        if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
            return array
    return next((array for array in numeric if array.ndim == 2 and array.shape[1]), None)
