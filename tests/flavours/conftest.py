"""Rows for models of mixed columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

ROWS = 500


class Trips(NamedTuple):
    """frame: a number with gaps, a vocabulary in no alphabetical order with gaps, a whole number. late: 0 or 1."""

    frame: pd.DataFrame
    late: np.ndarray

    @property
    def complete(self) -> Trips:
        """Rows without gaps."""
        whole = self.frame.notna().all(axis=1).to_numpy()
        return Trips(self.frame[whole].reset_index(drop=True), self.late[whole])


@pytest.fixture(scope="session")
def trips() -> Trips:
    rng = np.random.default_rng(8)
    carrier = np.where(rng.random(ROWS) < 0.1, -1, rng.integers(0, 4, ROWS))
    frame = pd.DataFrame(
        {
            "wind": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(10, 4, ROWS)),
            "carrier": pd.Categorical.from_codes(carrier, ["UA", "AA", "WN", "B6"]),
            "hour": rng.integers(0, 24, ROWS),
        }
    )
    score = (frame.carrier == "WN") * 2.0 + (frame.hour > 15) + frame.wind.fillna(0) / 10
    return Trips(frame, (score + rng.normal(0, 0.5, ROWS) > 2.0).to_numpy().astype(int))
