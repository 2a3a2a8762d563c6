"""Metrics of predictions and their 95 % intervals, by numpy alone. Pure: arrays in, figures out.

Every metric takes weights of the shape (resamples, rows) and returns one figure per resample: a bootstrap resample is nothing but how
often each row was drawn, so a thousand of them cost a few matrix products. Weights of one are the metric itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tilth.wire.evaluations import MetricValue

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]
"""weights (resamples, rows) -> figures (resamples,); NaN where a resample does not define it."""
Places = NDArray[np.int64]
Build = Callable[[Places | None], dict[str, Metric]]
"""The metrics over the rows at these places, None for all rows."""

RESAMPLES = 1_000
MAX_BOOTSTRAP_ROWS = 20_000
"""Above it, intervals come from so many rows drawn once, and are narrowed by the square root of the ratio."""
SEED = 20_260_101
_CHUNK_CELLS = 2_000_000
_SMALL = 1e-15

CLASSIFICATION = ("auc", "log_loss", "brier", "accuracy", "f1", "precision", "recall")
REGRESSION = ("rmse", "mae", "r2", "mape")


def auc(positive: NDArray[np.bool_], score: Floats) -> Metric:
    """Area under the ROC curve; ties count half. NaN where one class is missing."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    is_positive = positive[order].astype(np.float64)

    def measure(weights: Floats) -> Floats:
        drawn = weights[:, order]
        ups = np.add.reduceat(drawn * is_positive, starts, axis=1)
        downs = np.add.reduceat(drawn * (1 - is_positive), starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs
        pairs = ups.sum(axis=1) * downs.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((ups * (below + downs / 2)).sum(axis=1) / pairs)

    return measure


def mean_of(per_row: Floats) -> Metric:
    """The mean of a loss or a hit per row."""

    def measure(weights: Floats) -> Floats:
        return np.asarray(weights @ per_row / weights.sum(axis=1))

    return measure


def classification(target: NDArray[np.int64], scores: Floats) -> dict[str, Metric]:
    """target: index of the class per row; scores: probabilities, shape (rows, classes). For more than two classes auc, f1, precision and
    recall are means over the classes, each against the rest."""
    classes = scores.shape[1]
    right = np.clip(scores[np.arange(len(target)), target], _SMALL, 1.0)
    binary = classes == 2
    wanted = range(1, 2) if binary else range(classes)
    hot = np.eye(classes)[target]
    aucs = [auc(target == each, scores[:, each]) for each in wanted]
    # Equal to the label that scikit-learn predicts: the first of the greatest, and above one half for two classes.
    predicted = (scores[:, 1] > 0.5).astype(np.int64) if binary else scores.argmax(axis=1)
    brier = (scores[:, 1] - target) ** 2 if binary else ((scores - hot) ** 2).sum(axis=1)
    return {
        "auc": _mean(aucs),
        "log_loss": mean_of(-np.log(right)),
        "brier": mean_of(brier),
        **labels(target, predicted, classes),
    }


def labels(target: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> dict[str, Metric]:
    """What needs no probabilities. Both: index of the class per row. Precision without a predicted row, and recall without a row, are 0."""
    wanted = range(1, 2) if classes == 2 else range(classes)
    counts = [(target == each, predicted == each) for each in wanted]

    def averaged(of: Callable[[Floats, Floats, Floats], Floats]) -> Metric:
        def one(true: NDArray[np.bool_], said: NDArray[np.bool_]) -> Metric:
            both, is_true, is_said = (part.astype(np.float64) for part in (true & said, true, said))
            return lambda weights: of(weights @ both, weights @ is_said, weights @ is_true)

        return _mean([one(true, said) for true, said in counts])

    return {
        "accuracy": mean_of((target == predicted).astype(np.float64)),
        "f1": averaged(lambda hit, said, true: _share(2 * hit, said + true)),
        "precision": averaged(lambda hit, said, true: _share(hit, said)),
        "recall": averaged(lambda hit, said, true: _share(hit, true)),
    }


def regression(target: Floats, predicted: Floats) -> dict[str, Metric]:
    """mape is a share of 1 and counts a target of 0 as a very small one, as scikit-learn does."""
    error = predicted - target
    squared = error**2

    def rmse(weights: Floats) -> Floats:
        return np.asarray(np.sqrt(weights @ squared / weights.sum(axis=1)))

    def r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        spread = weights @ target**2 - (weights @ target) ** 2 / total
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(spread > 0, 1 - (weights @ squared) / spread, np.nan)

    return {
        "rmse": rmse,
        "mae": mean_of(np.abs(error)),
        "r2": r2,
        "mape": mean_of(np.abs(error) / np.maximum(np.abs(target), np.finfo(np.float64).eps)),
    }


def measured(build: Build, rows: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, MetricValue]:
    """Each metric with its 95 % percentile interval, the same for the same seed. What these rows do not define is left out."""
    whole = np.ones((1, rows))
    points = {name: float(metric(whole)[0]) for name, metric in build(None).items()}
    defined = [name for name, value in points.items() if np.isfinite(value)]
    bounds = _bounds(build, {name: points[name] for name in defined}, rows, resamples, seed)
    return {name: MetricValue(points[name], *bounds[name]) for name in defined}


def paired(ours: Build, theirs: Build, rows: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, MetricValue]:
    """How much each metric of ours differs from theirs over the same rows; both are measured on the same resamples."""

    def build(places: Places | None) -> dict[str, Metric]:
        left, right = ours(places), theirs(places)
        return {name: _minus(left[name], right[name]) for name in left if name in right}

    return measured(build, rows, resamples=resamples, seed=seed)


def _bounds(
    build: Build, points: Mapping[str, float], rows: int, resamples: int, seed: int
) -> dict[str, tuple[float | None, float | None]]:
    if rows < 2 or resamples < 2:
        return dict.fromkeys(points, (None, None))
    draw = np.random.default_rng(seed)
    used = min(rows, MAX_BOOTSTRAP_ROWS)
    metrics = build(None if used == rows else draw.choice(rows, used, replace=False))
    found: dict[str, list[Floats]] = {name: [] for name in points}
    at_once = max(1, _CHUNK_CELLS // used)
    for start in range(0, resamples, at_once):
        weights = _draws(draw, min(at_once, resamples - start), used)
        for name, figures in found.items():
            figures.append(metrics[name](weights))
    narrower = float(np.sqrt(used / rows))
    return {name: _interval(np.concatenate(figures), points[name], narrower) for name, figures in found.items()}


def _draws(draw: np.random.Generator, resamples: int, rows: int) -> Floats:
    """How often each row is drawn in each resample, shape (resamples, rows)."""
    picked = draw.integers(0, rows, (resamples, rows)) + np.arange(resamples)[:, None] * rows
    return np.bincount(picked.ravel(), minlength=resamples * rows).reshape(resamples, rows).astype(np.float64)


def _interval(figures: Floats, point: float, narrower: float) -> tuple[float | None, float | None]:
    finite = figures[np.isfinite(figures)]
    # Where most resamples do not define the metric, an interval of the rest would look surer than it is.
    if len(finite) < 0.9 * len(figures) or not np.isfinite(point):
        return None, None
    low, high = np.percentile(finite, [2.5, 97.5])
    if narrower == 1:
        return float(low), float(high)
    middle = float(np.median(finite))
    return point + (float(low) - middle) * narrower, point + (float(high) - middle) * narrower


def _mean(metrics: Sequence[Metric]) -> Metric:
    if len(metrics) == 1:
        return metrics[0]
    return lambda weights: np.asarray(np.mean([metric(weights) for metric in metrics], axis=0))


def _minus(ours: Metric, theirs: Metric) -> Metric:
    return lambda weights: np.asarray(ours(weights) - theirs(weights))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))
