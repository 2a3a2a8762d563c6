"""Gradient boosting on January to March, stopped by days it has not seen. Pure functions: frames in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from examples.flight_delay.data import is_late
from examples.flight_delay.features import Vocabularies, features, vocabularies
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

PARAMS: Mapping[str, Any] = {
    "learning_rate": 0.08,
    "max_iter": 300,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 300,
    "l2_regularization": 20.0,
    "max_features": 0.5,
    "n_iter_no_change": 20,
    "random_state": 2013,
}
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Features (X) and labels (y, 0 or 1) of the part to fit and the part to stop and judge by; no day is in both."""

    X: pd.DataFrame
    y: NDArray[np.int64]
    X_validation: pd.DataFrame
    y_validation: NDArray[np.int64]
    known: Vocabularies
    validation_days: tuple[str, ...]


@dataclass(frozen=True)
class Fitted:
    """Log loss after each iteration, the first entry before any tree; metrics and probabilities of the validation part."""

    model: HistGradientBoostingClassifier
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    metrics: dict[str, float]
    probabilities: NDArray[np.float64]


def split_by_day(flights: pd.DataFrame, *, share: float = VALIDATION_SHARE, random_state: int = 2013) -> Split:
    """Whole days go to one side or the other; flights without label are left out.

    Flights of one day share a storm, a closed runway, a late aircraft. Drawn at random they would stand on both sides, and the
    validation part would flatter the model (AUC .75 where other days give .72).
    """
    labelled = flights[flights["arr_delay"].notna()].reset_index(drop=True)
    days = np.sort(labelled["date"].unique())
    chosen = np.random.default_rng(random_state).choice(days, size=max(1, round(share * len(days))), replace=False)
    held_out = labelled["date"].isin(chosen).to_numpy()
    known = vocabularies(labelled[~held_out])
    inputs, late = features(labelled, known), labels(labelled)
    return Split(
        X=inputs[~held_out].reset_index(drop=True),
        y=late[~held_out],
        X_validation=inputs[held_out].reset_index(drop=True),
        y_validation=late[held_out],
        known=known,
        validation_days=tuple(sorted(str(day)[:10] for day in chosen)),
    )


def labels(flights: pd.DataFrame) -> NDArray[np.int64]:
    """1 for late, 0 for in time. Every flight must have arrived."""
    return np.asarray(is_late(flights).to_numpy(dtype=np.int64))


def train(split: Split, params: Mapping[str, Any] = PARAMS) -> Fitted:
    """The same result each time for the same split and params, on one kind of machine."""
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", early_stopping=True, scoring="loss", **params)
    # Left to itself, early stopping would draw its own part at random, across days.
    model.fit(split.X, split.y, X_val=split.X_validation, y_val=split.y_validation)
    probabilities = model.predict_proba(split.X_validation)[:, 1]
    return Fitted(
        model=model,
        train_loss=tuple(float(-score) for score in model.train_score_),
        validation_loss=tuple(float(-score) for score in model.validation_score_),
        metrics=judge(split.y_validation, probabilities),
        probabilities=probabilities,
    )


def judge(y: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """AUC (ranking, 0.5 is chance), log loss (nats) and Brier score (squared error of the probability)."""
    return {
        "auc": float(roc_auc_score(y, probabilities)),
        "log_loss": float(log_loss(y, probabilities, labels=[0, 1])),
        "brier": float(brier_score_loss(y, probabilities)),
    }


def calibration_figure(y: NDArray[np.int64], probabilities: NDArray[np.float64], *, bins: int = 10) -> Figure:
    """Does a forecast of 30 % come true in 30 of 100 flights? Bins of equal numbers of flights."""
    happened, forecast = calibration_curve(y, probabilities, n_bins=bins, strategy="quantile")
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="perfect")
    axes.plot(forecast, happened, marker="o", color="#1b7f5c", label=f"{len(y):,} flights on days not trained on")
    axes.set(xlabel="forecast probability of arriving late", ylabel="share that arrived late", title="Calibration")
    limit = min(1.0, float(max(forecast.max(), happened.max())) * 1.15)
    axes.set(xlim=(0, limit), ylim=(0, limit))
    axes.legend(loc="upper left", frameon=False)
    return figure
