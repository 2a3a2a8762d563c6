"""A sweep on a part of the flights: which learning rate and which size of trees?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from examples.flight_delay.training import PARAMS, Split, train
from threadpoolctl import threadpool_limits

import tilth

TRIALS = 12
SAMPLE_ROWS = 12_000
SPACE: dict[str, Any] = {
    "learning_rate": {"loguniform": [0.04, 0.15]},
    "max_leaf_nodes": {"int": [7, 23, 4]},
    "l2_regularization": {"loguniform": [5, 80]},
    "max_features": {"uniform": [0.3, 0.8]},
}
QUICK = {"max_iter": 60, "min_samples_leaf": 100}
"""A fifth of the flights needs fewer iterations, and smaller leaves, than all of them."""


def search(split: Split, experiment: str, advance: Callable[[int], None]) -> tilth.SweepResult:
    """Twelve short trainings, each a tracked run, judged by the validation days."""
    part = sample(split)

    def trained(trial: tilth.Trial) -> float:
        auc = train(part, {**PARAMS, **QUICK, **trial.params}).metrics["auc"]
        advance(1)
        return auc

    # Small trainings side by side, one thread each, end sooner than one after the other with all threads.
    with threadpool_limits(1):
        return tilth.sweep(
            trained,
            SPACE,
            metric="auc",
            trials=TRIALS,
            parallel=2,
            seed=2013,
            name="rate and size of trees",
            experiment=experiment,
            progress=False,
        )


def sample(split: Split, rows: int = SAMPLE_ROWS) -> Split:
    """The same split with at most `rows` flights to learn from; the part to judge by stays whole."""
    chosen = np.random.default_rng(2013).choice(len(split.X), size=min(rows, len(split.X)), replace=False)
    return replace(split, X=split.X.iloc[chosen].reset_index(drop=True), y=split.y[chosen])
