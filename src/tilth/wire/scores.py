"""Histograms of what models answer: the same buckets in every worker, so that counts of workers, versions and windows can be added.

A score is what stands for one answer: the value of the only output, or the index of the greatest of several (a class).
"""

from __future__ import annotations

from bisect import bisect_left

SMALLEST, STEP_FROM, LARGEST = 1e-9, 0.1, 1e12
GROWTH, STEP = 1.2, 0.02


def score_bounds() -> tuple[float, ...]:
    """Upper bounds of the buckets, ascending; one more bucket takes the rest. Symmetric around 0.

    Away from zero: 1e-9 to 0.1 each 1.2 times the one before (rare events differ in the small), 0.1 to 1 in steps of 0.02 (where
    probabilities lie), from 1 to 1e12 again each 1.2 times the one before.
    """
    positive = [SMALLEST]
    while positive[-1] * GROWTH < STEP_FROM:
        positive.append(positive[-1] * GROWTH)
    positive += [round(STEP_FROM + STEP * step, 10) for step in range(round((1 - STEP_FROM) / STEP) + 1)]
    while positive[-1] < LARGEST:
        positive.append(positive[-1] * GROWTH)
    return (*(-bound for bound in reversed(positive)), 0.0, *positive)


SCORE_BOUNDS = score_bounds()


def score_bucket(score: float) -> int:
    """The bucket of a finite score: 0 to len(SCORE_BOUNDS)."""
    return bisect_left(SCORE_BOUNDS, score)
