"""From a table to what the model takes, by its signature. A value that does not fit refuses its row, not the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.wire.signature import Column, Signature, Tensor

MAX_EXACT = float(1 << 53)
"""Integers beyond this have no exact float64."""
MISSING = ("", "NA", "NaN", "nan", "null", "None")
"""Texts of a CSV file that mean that there is no value, as for `tilth predict`."""
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_EXPECTED = {"double": "a number", "long": "a whole number", "boolean": "true or false", "string": "text"}
Reason = Callable[[int], str]


@dataclass(slots=True)
class Fitting:
    """What became of a table's rows. bad: row (from 0) -> the first reason why it cannot be scored. values: by input."""

    height: int
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)

    def refuse(self, rows: NDArray[np.bool_], reason: Reason) -> None:
        for row in np.flatnonzero(rows).tolist():
            self.bad.setdefault(row, reason(row))

    def good(self) -> NDArray[np.bool_]:
        kept = np.ones(self.height, dtype=np.bool_)
        kept[list(self.bad)] = False
        return kept

    def matrix(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Shape (kept rows, inputs), C order."""
        table = np.empty((int(kept.sum()), len(self.values)))
        for at, column in enumerate(self.values.values()):
            table[:, at] = column[kept]
        return table

    def arrays(self, kept: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        return {name: column[kept] for name, column in self.values.items()}


def input_names(signature: Signature) -> list[str]:
    return [*(column.name for column in signature.inputs), *(tensor.name for tensor in signature.tensors)]


def fit(frame: pl.DataFrame, signature: Signature, textual: bool) -> Fitting:
    """frame: a polars DataFrame with every input. textual: its values are all text, as those of a CSV file."""
    found = Fitting(len(frame))
    for column in signature.inputs:
        found.values[column.name] = _column(found, column, frame[column.name], textual, signature.named)
    for tensor in signature.tensors:
        found.values[tensor.name] = _tensor(found, tensor, frame[tensor.name])
    return found


def as_typed(series: pl.Series, column: Column | None) -> pl.Series:
    """Text of a CSV file as the type of its input; what is no such value becomes null."""
    match column.type if column is not None else "string":
        case "double":
            return series.cast(pl.Float64, strict=False)
        case "long":
            return series.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
        case "boolean":
            return series.replace_strict({**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}, default=None)
        case _:
            return series


def type_problem(column: Column, dtype: Any) -> str | None:
    """Why no value of a Parquet column with polars' type `dtype` can be the input; None if values can."""
    kind = _kind(dtype)
    fits = {
        "double": ("number",),
        "long": ("number",),
        "boolean": ("boolean",),
        "string": ("text", "whole") if column.categories is not None else ("text",),
    }[column.type]
    if kind in fits or kind == "nothing" or (kind == "whole" and "number" in fits):
        return None
    return f"column {column.name!r} holds {dtype}, the model takes {_EXPECTED[column.type]}"


def _column(found: Fitting, column: Column, series: Any, textual: bool, named: bool) -> NDArray[Any]:
    if series.dtype == pl.Object:
        series = _judged(found, column, series)
    if textual:
        series = series.set(series.is_in(list(MISSING)), None)
    match column.type:
        case "string" if column.categories is not None:
            values = _codes(found, column, series)
        case "string":
            return _texts(found, column, series)
        case "boolean":
            values = _booleans(found, column, series, textual)
        case _:
            values = _numbers(found, column, series, textual)
    if not column.nullable:
        found.refuse(
            series.is_null().to_numpy() | _is_nan(series),
            lambda row: (
                f"column {column.name!r}: expected {_EXPECTED[column.type]}, got nothing; training had no missing values there"
            ),
        )
    if named and column.type in ("long", "boolean") and not np.isnan(values).any():
        return values.astype(np.int64 if column.type == "long" else np.bool_)
    return values


def _numbers(found: Fitting, column: Column, series: Any, textual: bool) -> NDArray[np.float64]:
    if _kind(series.dtype) not in ("number", "whole", "nothing") and not textual:
        found.refuse(series.is_not_null().to_numpy(), lambda row: _unlike(column, series[row]))
        return np.full(len(series), math.nan)
    numbers = series.cast(pl.Float64, strict=False)
    if textual:
        found.refuse((numbers.is_null() & series.is_not_null()).to_numpy(), lambda row: _unlike(column, series[row]))
    values = _floats(numbers)
    if column.type == "long":
        with np.errstate(invalid="ignore"):
            found.refuse(~np.isnan(values) & (values != np.floor(values)), lambda row: _unlike(column, series[row]))
            found.refuse(
                np.abs(values) > MAX_EXACT,
                lambda row: f"column {column.name!r}: {series[row]} is beyond 2**53, which a 64-bit float cannot hold exactly",
            )
    if textual:
        found.refuse(np.isinf(values), lambda row: _unlike(column, series[row]))
    return values


def _booleans(found: Fitting, column: Column, series: Any, textual: bool) -> NDArray[np.float64]:
    if textual:
        true, false = series.is_in(list(_TRUE)), series.is_in(list(_FALSE))
        found.refuse(
            (series.is_not_null() & ~true & ~false).fill_null(False).to_numpy(), lambda row: _unlike(column, series[row])
        )
        return np.where(series.is_null().to_numpy(), math.nan, true.fill_null(False).to_numpy().astype(np.float64))
    if series.dtype not in (pl.Boolean, pl.Null):
        found.refuse(series.is_not_null().to_numpy(), lambda row: _unlike(column, series[row]))
        return np.full(len(series), math.nan)
    return _floats(series.cast(pl.Float64))


def _codes(found: Fitting, column: Column, series: Any) -> NDArray[np.float64]:
    known = list(column.categories or ())
    if _kind(series.dtype) not in ("text", "whole", "nothing"):
        found.refuse(series.is_not_null().to_numpy(), lambda row: _unlike(column, series[row]))
        return np.full(len(series), math.nan)
    codes = series.cast(pl.String).cast(pl.Enum(known), strict=False).to_physical()
    if column.unseen == "refuse":
        shown = ", ".join(map(repr, known[:5])) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
        found.refuse(
            (codes.is_null() & series.is_not_null()).to_numpy(),
            lambda row: f"column {column.name!r}: {str(series[row])[:80]!r} was not seen in training; known are {shown}",
        )
    return _floats(codes.cast(pl.Float64))


def _texts(found: Fitting, column: Column, series: Any) -> NDArray[Any]:
    if _kind(series.dtype) not in ("text", "nothing"):
        found.refuse(series.is_not_null().to_numpy(), lambda row: _unlike(column, series[row]))
    if not column.nullable:
        found.refuse(series.is_null().to_numpy(), lambda row: f"column {column.name!r}: expected text, got nothing")
    return np.array(series.cast(pl.String, strict=False).to_list(), dtype=object)


def _tensor(found: Fitting, tensor: Tensor, series: Any) -> NDArray[Any]:
    """Each row's own array, of the tensor's shape without its first axis. Rows of another shape are refused."""
    wanted = tensor.shape[1:]
    dtype = np.dtype(object) if tensor.type == "bytes" else np.dtype(tensor.type)
    values = series.to_list()
    shapes: dict[int, tuple[int, ...]] = {}
    rows: list[Any] = []
    for row, value in enumerate(values):
        array = _array(value, dtype)
        if array is None or not _fits(array.shape, wanted, shapes):
            reached = "no such values" if array is None else f"shape {list(array.shape)}"
            found.bad.setdefault(row, f"tensor {tensor.name!r}: expected {tensor.type} of shape {list(wanted)}, got {reached}")
            rows.append(None)
        else:
            shapes.setdefault(0, array.shape)
            rows.append(array)
    shape = shapes.get(0, tuple(max(size, 0) for size in wanted))
    filled = np.zeros((len(rows), *shape), dtype=dtype)
    for row, value in enumerate(rows):
        if value is not None:
            filled[row] = value
    return filled


def _array(value: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    if value is None:
        return None
    try:
        return np.array(value, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        return None


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...], first: Mapping[int, tuple[int, ...]]) -> bool:
    if len(shape) != len(wanted) or any(want not in (-1, got) for got, want in zip(shape, wanted, strict=True)):
        return False
    # Where the signature leaves a length open, the rows of one chunk must still be stacked.
    return 0 not in first or first[0] == shape


def _judged(found: Fitting, column: Column, series: Any) -> Any:
    """A column of mixed values of a JSON file: those of a wrong kind refuse their rows, the others go on."""
    kinds: tuple[type, ...] = {"double": (int, float), "long": (int, float), "boolean": (bool,), "string": (str,)}[column.type]
    values = series.to_list()
    kept = [value if type(value) in kinds else None for value in values]
    for row, (value, keep) in enumerate(zip(values, kept, strict=True)):
        if value is not None and keep is None:
            found.bad.setdefault(row, _unlike(column, value))
    into = {"double": pl.Float64, "long": pl.Float64, "boolean": pl.Boolean, "string": pl.String}[column.type]
    if into == pl.Float64:
        kept = [None if value is None else float(value) for value in kept]
    return pl.Series(series.name, kept, dtype=into)


def _kind(dtype: Any) -> str:
    if dtype.is_integer():
        return "whole"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Null:
        return "nothing"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def _floats(series: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = series.fill_null(math.nan).to_numpy()
    return values


def _is_nan(series: Any) -> Any:
    return series.is_nan().fill_null(False).to_numpy() if series.dtype.is_float() else False


def _unlike(column: Column, value: Any) -> str:
    return f"column {column.name!r}: expected {_EXPECTED[column.type]}, got {str(value)[:80]!r}"
