"""What one request holds for the model, and how those of several requests become one batch. Pure, and part of the hot path."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.port import Arrays, Outputs, Rows

Inputs = Rows | Arrays
"""One table of numbers, or arrays by name that all have the same first axis."""

Results = Outputs | Arrays

NO_ROWS: Rows = np.empty((0, 0))


def count_of(inputs: Inputs) -> int:
    if isinstance(inputs, np.ndarray):
        return len(inputs)
    return len(next(iter(inputs.values())))


def likeness_of(inputs: Inputs) -> Hashable:
    """Equal where two requests for the same version can be one batch. Tables always can."""
    if isinstance(inputs, np.ndarray):
        return None
    return tuple((name, array.shape[1:], array.dtype.char) for name, array in inputs.items())


def joined(parts: Sequence[Inputs]) -> Inputs:
    """parts: at least one, all alike."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)  # type: ignore[arg-type]
    return {name: np.concatenate([part[name] for part in parts]) for name in first}  # type: ignore[call-overload]


def rows_of(given: Inputs | Results, start: int, end: int) -> Any:
    """Rows start to end (exclusive), of the same kind as `given`."""
    if isinstance(given, np.ndarray):
        return given[start:end]
    return {name: array[start:end] for name, array in given.items()}


def repeated(inputs: Inputs, count: int) -> Inputs:
    """`count` rows, made of those that are there (at least one)."""
    if isinstance(inputs, np.ndarray):
        return _repeated(inputs, count)
    return {name: _repeated(array, count) for name, array in inputs.items()}


def _repeated(array: NDArray[Any], count: int) -> NDArray[Any]:
    return array[np.arange(count) % len(array)]
