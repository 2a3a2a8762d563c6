"""How good answers were, once it is known what came true: metrics with 95 % intervals. Pure: by numpy alone.

Everything follows from sums over labelled rows, which add up and can be taken away again. Intervals are normal ones of closed form, so
that a page can ask for them each time: of a mean by its standard error, of an accuracy by Wilson (1927), of an AUC by DeLong, DeLong
and Clarke-Pearson (1988), of a root mean square by the delta method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.domains.serving.rules.proportions import wilson

Floats = NDArray[np.float64]
Kind = Literal["probability", "class", "number"]
"""What labels are of: probability: labels 0 and 1, scores from 0 to 1 · class: both are indices of classes · number: anything else."""

Z95 = 1.959963984540054
LEAST_ROWS = 2
MOST_CLASSES = 1_000
MOST_ERROR = 1e60
"""Larger errors count as this, so that their fourth powers are still numbers."""
_LEAST_PROBABILITY = 1e-15
_STEPS, _OCTAVES = 64, 40

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


class LabelTally(msgspec.Struct, frozen=True):
    """What labelled rows add up to. Counts: binary: labels that are 0 or 1; unit: scores from 0 to 1; decided: scores that are 0 or 1;
    whole: rows whose label and score both may be the index of a class; equal: of label and score; agreed: on the same side of 0.5.

    Sums: error: of absolute errors, squared and fourth of their powers; loss and loss_squared: of the logarithmic loss, as if of
    probabilities. labels: how often each index of a class was the label; ups, downs: rows whose label is above 0.5, or not, by
    the place of their score.
    """

    rows: int = 0
    binary: int = 0
    unit: int = 0
    decided: int = 0
    whole: int = 0
    equal: int = 0
    agreed: int = 0
    error: float = 0.0
    squared: float = 0.0
    fourth: float = 0.0
    loss: float = 0.0
    loss_squared: float = 0.0
    labels: dict[int, int] = {}
    ups: dict[int, int] = {}
    downs: dict[int, int] = {}

    def plus(self, other: LabelTally, times: int = 1) -> LabelTally:
        """times -1 takes away what was added before."""
        return LabelTally(**{name: _added(getattr(self, name), getattr(other, name), times) for name in self.__struct_fields__})


def _added(ours: Any, theirs: Any, times: int) -> Any:
    if not isinstance(ours, dict):
        return ours + times * theirs
    found = {key: ours.get(key, 0) + times * theirs.get(key, 0) for key in ours.keys() | theirs.keys()}
    return {key: count for key, count in found.items() if count}


def tally_of(scores: Floats, labels: Floats, *, exact: bool = False) -> LabelTally:
    """scores, labels: shape (rows,), finite. exact: places are ranks, which do not add up with those of other rows; otherwise they are
    bins that scores closer than 1.6 % of their distance from 0 or from 1 may share, which moves an AUC by less than 0.001."""
    positive = labels > 0.5
    with np.errstate(over="ignore"):
        error = np.minimum(np.abs(scores - labels), MOST_ERROR)
    loss = -np.log(np.clip(np.where(positive, scores, 1 - scores), _LEAST_PROBABILITY, 1.0))
    places = np.unique(scores, return_inverse=True)[1] if exact else places_of(scores)
    whole = _is_class(labels)
    return LabelTally(
        rows=len(labels),
        binary=int(np.isin(labels, (0.0, 1.0)).sum()),
        unit=int(((scores >= 0) & (scores <= 1)).sum()),
        decided=int(np.isin(scores, (0.0, 1.0)).sum()),
        whole=int((whole & _is_class(scores)).sum()),
        equal=int((scores == labels).sum()),
        agreed=int(((scores > 0.5) == positive).sum()),
        error=float(error.sum()),
        squared=float((error**2).sum()),
        fourth=float((error**4).sum()),
        loss=float(loss.sum()),
        loss_squared=float((loss**2).sum()),
        labels=_counts(labels[whole]),
        ups=_counts(places[positive]),
        downs=_counts(places[~positive]),
    )


def _is_class(values: Floats) -> NDArray[np.bool_]:
    return np.asarray((values >= 0) & (values == np.floor(values)) & (values < MOST_CLASSES))


def _counts(values: NDArray[Any]) -> dict[int, int]:
    found, counts = np.unique(values.astype(np.int64), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def places_of(scores: Floats) -> NDArray[np.int64]:
    """Whole numbers that never fall while the score rises: 64 for each doubling of the distance from 0, and from 1 where that is nearer."""
    half, one = (int(_steps(np.array([value]))[0]) for value in (0.5, 1.0))
    near_one = (scores > 0.5) & (scores <= 1)
    steps = _steps(np.where(near_one, 1 - scores, scores))
    return np.where(near_one, 2 * half + 1 - steps, np.where(scores > 1, 2 * half + 2 + steps - one, steps))


def _steps(values: Floats) -> NDArray[np.int64]:
    mantissas, exponents = np.frexp(np.minimum(np.abs(values), 2.0**_OCTAVES))
    octaves = exponents.astype(np.int64) + _OCTAVES
    steps = octaves * _STEPS + np.floor((mantissas - 0.5) * 2 * _STEPS).astype(np.int64)
    # What is nearer than any of them counts as nothing.
    return np.where((values == 0) | (octaves <= 0), 0, np.where(values < 0, -steps, steps))


def kind_of(tally: LabelTally) -> Kind:
    if tally.rows and tally.binary == tally.rows and tally.unit == tally.rows:
        # Answers that are 0 or 1 themselves are classes: of two, but without a probability.
        return "class" if tally.decided == tally.rows else "probability"
    few = len(tally.labels) <= max(20, math.isqrt(tally.rows))
    return "class" if tally.rows and few and tally.whole == tally.rows else "number"


def outcomes(tally: LabelTally, kind: Kind | None = None) -> dict[str, Estimate]:
    """auc, log_loss, brier and accuracy of probabilities; accuracy of classes; rmse and mae of numbers.

    kind None: by kind_of. Empty for fewer than two rows; without auc where one class is missing.
    """
    rows = tally.rows
    if rows < LEAST_ROWS:
        return {}
    match kind or kind_of(tally):
        case "probability":
            found = {
                "log_loss": _mean(tally.loss, tally.loss_squared, rows),
                "brier": _mean(tally.squared, tally.fourth, rows),
                "accuracy": proportion(tally.agreed, rows),
            }
            area = auc(tally.ups, tally.downs)
            return ({"auc": area} if area is not None else {}) | found
        case "class":
            return {"accuracy": proportion(tally.equal, rows)}
        case "number":
            return {"rmse": _root_mean(tally.squared, tally.fourth, rows), "mae": _mean(tally.error, tally.squared, rows)}


def auc(ups: Mapping[int, int], downs: Mapping[int, int]) -> Estimate | None:
    """Area under the ROC curve of rows by place; those that share a place count half. None unless both classes are there twice."""
    places = sorted(ups.keys() | downs.keys())
    up = np.array([ups.get(place, 0) for place in places], dtype=np.float64)
    down = np.array([downs.get(place, 0) for place in places], dtype=np.float64)
    m, n = float(up.sum()), float(down.sum())
    if m < LEAST_ROWS or n < LEAST_ROWS:
        return None
    # Of each place: the share of the other class that lies on the right side of it.
    above = (np.cumsum(down) - down / 2) / n
    below = 1 - (np.cumsum(up) - up / 2) / m
    value = float((up * above).sum() / m)
    spread = (up * (above - value) ** 2).sum() / (m - 1) / m + (down * (below - value) ** 2).sum() / (n - 1) / n
    return _normal(value, math.sqrt(float(spread)), int(m + n), 0.0, 1.0)


def proportion(hits: int, rows: int) -> Estimate:
    """A share with Wilson's interval, which holds near 0 and 1, too."""
    share = hits / rows
    return Estimate(share, math.sqrt(share * (1 - share) / rows), *wilson(hits, rows, Z95), rows)


def _mean(total: float, squares: float, rows: int) -> Estimate:
    """Of values that are never negative."""
    value = total / rows
    variance = max(0.0, squares - total * value) / (rows - 1)
    return _normal(value, math.sqrt(variance / rows), rows, 0.0, math.inf)


def _root_mean(squares: float, fourths: float, rows: int) -> Estimate:
    mean = _mean(squares, fourths, rows)
    value = math.sqrt(mean.value)
    return _normal(value, mean.error / (2 * value) if value else 0.0, rows, 0.0, math.inf)


def _normal(value: float, error: float, rows: int, least: float, most: float) -> Estimate:
    return Estimate(value, error, max(least, value - Z95 * error), min(most, value + Z95 * error), rows)
