"""How good answers were, once it is known what came true: metrics with 95 % intervals. Pure: arrays in, figures out, by numpy alone.

Intervals are normal ones of closed form, so that a page can ask for them each time: of a mean by its standard error, of an accuracy by
Wilson (1927), of an AUC by DeLong, DeLong and Clarke-Pearson (1988), of a root mean square by the delta method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilth.domains.serving.rules.proportions import wilson

Floats = NDArray[np.float64]
Kind = Literal["probability", "class", "number"]
"""What labels are of: probability: labels 0 and 1, scores from 0 to 1 · class: both are indices of classes · number: anything else."""

Z95 = 1.959963984540054
LEAST_ROWS = 2
MOST_CLASSES = 1_000
_LEAST_PROBABILITY = 1e-15

HIGHER_IS_BETTER: dict[str, bool] = {
    "auc": True,
    "accuracy": True,
    "log_loss": False,
    "brier": False,
    "rmse": False,
    "mae": False,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric over `rows` labelled rows, its standard error and the bounds of its 95 % interval."""

    value: float
    error: float
    low: float
    high: float
    rows: int


def kind_of(scores: Floats, labels: Floats) -> Kind:
    """scores, labels: shape (rows,), finite."""
    if len(labels) and bool(np.isin(labels, (0.0, 1.0)).all()) and bool(((scores >= 0) & (scores <= 1)).all()):
        # Answers that are 0 or 1 themselves are classes: of two, but without a probability.
        return "class" if bool(np.isin(scores, (0.0, 1.0)).all()) else "probability"
    whole = (labels >= 0) & (labels == np.floor(labels)) & (labels < MOST_CLASSES)
    scored = (scores >= 0) & (scores == np.floor(scores)) & (scores < MOST_CLASSES)
    few = len(np.unique(labels)) <= max(20, math.isqrt(len(labels)))
    return "class" if len(labels) and few and bool(whole.all()) and bool(scored.all()) else "number"


def outcomes(scores: Floats, labels: Floats, kind: Kind | None = None) -> dict[str, Estimate]:
    """auc, log_loss, brier and accuracy of probabilities; accuracy of classes; rmse and mae of numbers.

    scores, labels: shape (rows,), finite. kind None: by kind_of. Empty for fewer than two rows; without auc where one class is missing.
    """
    if len(labels) < LEAST_ROWS:
        return {}
    match kind or kind_of(scores, labels):
        case "probability":
            right = np.where(labels > 0.5, scores, 1 - scores)
            found = {
                "log_loss": _mean(-np.log(np.clip(right, _LEAST_PROBABILITY, 1.0))),
                "brier": _mean((scores - labels) ** 2),
                "accuracy": proportion(int(((scores > 0.5) == (labels > 0.5)).sum()), len(labels)),
            }
            area = auc(scores, labels)
            return ({"auc": area} if area is not None else {}) | found
        case "class":
            return {"accuracy": proportion(int((scores == labels).sum()), len(labels))}
        case "number":
            return {"rmse": root_mean_square(scores - labels), "mae": _mean(np.abs(scores - labels))}


def auc(scores: Floats, labels: Floats) -> Estimate | None:
    """Area under the ROC curve, ties counting half. None unless both classes are there twice."""
    positive = labels > 0.5
    ups, downs = scores[positive], scores[~positive]
    m, n = len(ups), len(downs)
    if m < LEAST_ROWS or n < LEAST_ROWS:
        return None
    ranks = _midranks(np.concatenate([ups, downs]))
    above = (ranks[:m] - _midranks(ups)) / n
    below = 1 - (ranks[m:] - _midranks(downs)) / m
    error = math.sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n)
    return _normal(float(above.mean()), error, m + n, 0.0, 1.0)


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places], dtype=np.float64)


def proportion(hits: int, rows: int) -> Estimate:
    """A share with Wilson's interval, which holds near 0 and 1, too."""
    share = hits / rows
    return Estimate(share, math.sqrt(share * (1 - share) / rows), *wilson(hits, rows, Z95), rows)


def root_mean_square(errors: Floats) -> Estimate:
    squared = errors**2
    mean = float(squared.mean())
    value = math.sqrt(mean)
    error = float(squared.std(ddof=1)) / math.sqrt(len(errors)) / (2 * value) if value else 0.0
    return _normal(value, error, len(errors), 0.0, math.inf)


def _mean(losses: Floats) -> Estimate:
    return _normal(float(losses.mean()), float(losses.std(ddof=1)) / math.sqrt(len(losses)), len(losses), 0.0, math.inf)


def _normal(value: float, error: float, rows: int, least: float, most: float) -> Estimate:
    return Estimate(value, error, max(least, value - Z95 * error), min(most, value + Z95 * error), rows)


def difference(candidate: Estimate, champion: Estimate) -> Estimate:
    """candidate - champion, of different rows: its interval is that of two independent estimates."""
    value, error = candidate.value - champion.value, math.hypot(candidate.error, champion.error)
    return Estimate(value, error, value - Z95 * error, value + Z95 * error, min(candidate.rows, champion.rows))
