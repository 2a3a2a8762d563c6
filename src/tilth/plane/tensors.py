"""Tensors by name, as protocols carry them, for models that take columns or tensors. Pure.

A model of columns takes one tensor for each, of the shape [rows] or [rows, 1], or, where all of them are numbers, one tensor of the
shape [rows, columns] under any name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.plane.columns import Picker, listed
from tilth.plane.problems import MAX_EXACT, NullValue, WrongShape, WrongType
from tilth.wire.signature import Column

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tensors:
    """Arrays in the order in which they came: numbers, booleans, or objects (`bytes`, `str` or None)."""

    arrays: dict[str, Array]


def column_arrays(given: Tensors, columns: Sequence[Column], picker: Picker) -> list[Array]:
    """An array of shape (rows,) for each column, in their order, not yet checked against their types.

    Raises MissingColumn, ExtraColumn and WrongShape.
    """
    arrays = given.arrays
    if (wide := _wide(arrays, columns)) is not None:
        return list(wide.T)
    if len(arrays) == 1 and (array := next(iter(arrays.values()))).ndim == 2 and array.shape[1] > 1:
        raise WrongShape(_not_wide(array, columns))
    picker.check_names(arrays, what="tensor")
    flat = []
    for column in columns:
        array = arrays[column.name]
        if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
            raise WrongShape(f"tensor {column.name!r} has the shape {list(array.shape)}; a column takes [rows] or [rows, 1]")
        flat.append(array.reshape(len(array)))
    check_lengths(arrays)
    return flat


def floats_of(given: Tensors, columns: Sequence[Column]) -> NDArray[np.float64] | None:
    """The table of columns that are all floats of one length, given wide or one by one; None for anything else."""
    wide = _wide(given.arrays, columns)
    if wide is not None:
        return wide.astype(np.float64, order="C") if wide.dtype.kind == "f" else None
    if len(given.arrays) != len(columns):
        return None
    picked = [given.arrays.get(column.name) for column in columns]
    first = picked[0]
    if first is None or first.ndim != 1:
        return None
    if any(array is None or array.dtype.kind != "f" or array.shape != first.shape for array in picked):
        return None
    return np.array(picked, dtype=np.float64).T.copy(order="C")


def check_lengths(arrays: dict[str, Array]) -> None:
    """Raises WrongShape unless all have the same number of rows."""
    if len({len(array) for array in arrays.values()}) > 1:
        shown = ", ".join(f"{name!r} {len(array)}" for name, array in list(arrays.items())[:8])
        raise WrongShape(f"the tensors have different numbers of rows: {shown}")


def numbers(column: Column, array: Array, *, wide: bool = False) -> NDArray[np.float64]:
    """The values of a column that is no text, as a model's table has them. wide: 0 and 1 stand for booleans.

    Raises WrongType and NullValue, naming column and row.
    """
    kind = array.dtype.kind
    if column.type == "boolean":
        _check_boolean(column, array, wide)
    elif kind not in "fiu" and not (wide and kind == "b"):
        raise WrongType(f"column {column.name!r} takes numbers, the tensor is of {_called(array)}")
    if kind in "iu" and array.dtype.itemsize == 8:
        _refuse_where(
            column, (array > MAX_EXACT) | (array < -MAX_EXACT), array, "is beyond 2**53, which a 64-bit float cannot hold"
        )
    values: NDArray[np.float64] = array.astype(np.float64)
    if kind == "f":
        _check_floats(column, values)
    return values


def texts(column: Column, array: Array) -> list[Any]:
    """Strings and None. Raises WrongType for other tensors and for bytes that are no UTF-8."""
    if array.dtype != object:
        raise WrongType(f"column {column.name!r} takes text; send a tensor of BYTES, not of {_called(array)}")
    values = []
    for row, value in enumerate(array.tolist()):
        try:
            values.append(value.decode() if isinstance(value, bytes) else value)
        except UnicodeDecodeError as error:
            raise WrongType(f"column {column.name!r}, row {row}: the bytes are no text in UTF-8 ({error.reason})") from error
    return values


def is_wide(given: Tensors, columns: Sequence[Column]) -> bool:
    return _wide(given.arrays, columns) is not None


def _wide(arrays: dict[str, Array], columns: Sequence[Column]) -> Array | None:
    if len(arrays) != 1:
        return None
    name, array = next(iter(arrays.items()))
    if array.ndim != 2 or array.shape[1] != len(columns) or array.dtype == object:
        return None
    if any(column.type == "string" for column in columns) or (len(columns) == 1 and name == columns[0].name):
        return None
    return array


def _not_wide(array: Array, columns: Sequence[Column]) -> str:
    names = [column.name for column in columns]
    texts = [column.name for column in columns if column.type == "string"]
    if texts:
        return f"one tensor of the shape [rows, columns] cannot carry text ({listed(texts)}); send a tensor for each of {listed(names)}"
    return f"the tensor has {array.shape[1]} columns, the model takes {len(columns)}: {listed(names)}"


def _check_boolean(column: Column, array: Array, wide: bool) -> None:
    if array.dtype.kind == "b":
        return
    if not wide or array.dtype == object:
        raise WrongType(f"column {column.name!r} takes BOOL, the tensor is of {_called(array)}")
    odd = (array != 0) & (array != 1)
    if column.nullable:
        odd &= array == array
    _refuse_where(column, odd, array, "is neither 0 nor 1, and the column is true or false")


def _check_floats(column: Column, values: NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        _refuse_where(column, np.isinf(values), values, "is no number that the model takes")
        if not column.nullable:
            row = int(np.argmax(np.isnan(values)))
            raise NullValue(f"column {column.name!r}, row {row}: NaN, but the column had no missing values in training")
    if column.type == "long":
        _refuse_where(column, np.isfinite(values) & (values != np.rint(values)), values, "is no whole number")
        _refuse_where(column, np.abs(values) > MAX_EXACT, values, "is beyond 2**53, which a 64-bit float cannot hold")


def _refuse_where(column: Column, odd: Array, array: Array, why: str) -> None:
    if odd.any():
        row = int(np.argmax(odd))
        raise WrongType(f"column {column.name!r}, row {row}: {array[row]} {why}")


def _called(array: Array) -> str:
    return "BYTES" if array.dtype == object else str(array.dtype)
