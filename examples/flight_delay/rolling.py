"""A model that learned nothing is rolled out on real flights, and rolls itself back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from examples.flight_delay.asking import ask
from examples.flight_delay.training import PARAMS, Fitted, Split, train

import tilth
from tilth.wire.rollouts import RolloutView

ROUND = 50


def train_on_shuffled(split: Split) -> Fitted:
    """As somebody would who joined the labels to the wrong flights: each one stands at another flight of the same month or so."""
    draw = np.random.default_rng(15)
    mixed = Split(
        X=split.X,
        y=draw.permutation(split.y),
        X_validation=split.X_validation,
        y_validation=draw.permutation(split.y_validation),
        known=split.known,
        validation_days=split.validation_days,
    )
    return train(mixed, {**PARAMS, "max_iter": 30})


def roll_out(
    going: tilth.Rollout, url: str, token: str, requests: Sequence[bytes], *, within_s: float = 60.0
) -> tuple[RolloutView, int]:
    """Asks one flight after the other, as visitors would, until the rollout has ended; how it ended, and how many were asked.

    Raises NotAnswered, and RolloutStillGoing after `within_s`.
    """
    begun, asked = perf_counter(), 0
    flights = itertools.cycle(requests)
    while (seen := going.status()).ended is None:
        ask(url, token, list(itertools.islice(flights, ROUND)))
        asked += ROUND
        if perf_counter() - begun > within_s:
            return going.wait(0), asked
    return seen, asked
