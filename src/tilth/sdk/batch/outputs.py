"""From the model's answers to columns of the output: NaN becomes null, the index of a class its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.wire.models import ModelDocument
from tilth.wire.scoring import FileFormat
from tilth.wire.signature import Column, Signature

VERSION_COLUMN = "model_version"


def output_names(signature: Signature) -> list[str]:
    return [*(column.name for column in signature.outputs), *(tensor.name for tensor in signature.output_tensors)]


def output_columns(document: ModelDocument, name: str, values: NDArray[Any]) -> list[pl.Series]:
    """values: one output of the model, its first axis the rows. A tensor of several axes becomes a column of lists."""
    column = next((each for each in document.signature.outputs if each.name == name), None)
    if column is not None:
        return [_column(column, values)]
    if values.dtype.kind in "OSU":
        return [pl.Series(name, [_text(value) for value in values], dtype=pl.String)]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return [pl.Series(name, values).fill_nan(None) if values.dtype.kind == "f" else pl.Series(name, values)]
    return [pl.Series(name, values.tolist())]


def output_problems(document: ModelDocument, keep: Sequence[str], kind: FileFormat) -> list[str]:
    """Why the output cannot have these columns in this format."""
    signature = document.signature
    names = [*output_names(signature), VERSION_COLUMN]
    problems = [
        f"column {name!r} of the input has the name of an output column; leave it out by --columns, or rename it"
        for name in keep
        if name in names
    ]
    if kind == "csv":
        problems += [
            f"output {each.name!r} is an array per row, which CSV cannot hold; write .parquet or .jsonl"
            for each in signature.output_tensors
            if len(each.shape) > 2 or (len(each.shape) == 2 and each.shape[1] != 1)
        ]
    return problems


def _column(column: Column, values: NDArray[Any]) -> pl.Series:
    if column.type == "string" and column.categories is None:
        return pl.Series(column.name, [_text(value) for value in values], dtype=pl.String)
    known = np.isfinite(values.astype(np.float64, copy=False))
    numbers = pl.Series(column.name, values.astype(np.float64, copy=False)).set(pl.Series(~known), None)
    match column.type:
        case "double":
            return numbers
        case "long":
            return numbers.cast(pl.Int64)
        case "boolean":
            return numbers.cast(pl.Int8).cast(pl.Boolean)
        case "string":
            names = pl.Series(list(column.categories or ()), dtype=pl.String)
            return names.gather(numbers.cast(pl.UInt32)).alias(column.name)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
