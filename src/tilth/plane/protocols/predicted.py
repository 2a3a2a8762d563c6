"""`{"predictions": ...}`, as MLflow's scoring protocol and KServe v1 both answer. Pure, and part of the hot path."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from tilth.plane.inputs import count_of, rows_of
from tilth.plane.protocols.port import Answered, Written

PIECE_ROWS = 8192
"""Written at a time: between the pieces of a large answer other threads get the interpreter."""


def write_predictions(answered: Answered) -> Written:
    results = answered.results
    few = isinstance(results, np.ndarray) and len(results) <= PIECE_ROWS
    return Written(
        msgspec.json.encode(
            {
                "predictions": answered.outputs.listed(results) if few else _listed(answered),  # type: ignore[arg-type]
                "prediction_id": answered.prediction_id,
                "model": answered.model,
                "version": answered.version,
            }
        )
    )


def read_predictions(body: bytes) -> Any:
    return msgspec.json.decode(body)["predictions"]


def _listed(answered: Answered) -> Any:
    listed, results = answered.outputs.listed, answered.results
    count = count_of(results)
    if count <= PIECE_ROWS or answered.outputs.by_tensor:
        return listed(results)  # type: ignore[arg-type]
    pieces = (listed(rows_of(results, start, start + PIECE_ROWS)) for start in range(0, count, PIECE_ROWS))
    return msgspec.Raw(b"[" + b",".join(msgspec.json.encode(piece)[1:-1] for piece in pieces) + b"]")
