"""Between DataFrames and encoded rows: what a column of a training example is, and how a request becomes that column again.

pandas is imported inside the functions that need it: a compiled model is served without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tilth.flavours.port import Rows, UnusableExample
from tilth.wire.signature import Column, ColumnType, Signature, Unseen

Kind = Literal["float", "int", "bool", "text", "category of text", "category of int"]
"""How a column is rebuilt for the framework. Kept in `tilth.json` beside the signature, in its order."""

Container = Literal["dataframe", "array"]

_TYPES: dict[Kind, ColumnType] = {"float": "double", "int": "long", "bool": "boolean"}


def is_frame(example: Any) -> bool:
    """Whether it is a pandas DataFrame, without importing pandas."""
    kind = type(example)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def as_matrix(example: Any) -> Rows:
    """A 2-d numeric array of at least one row as float64. Raises UnusableExample."""
    try:
        matrix = np.asarray(example, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UnusableExample(
            f"the example is neither a DataFrame nor a table of numbers ({error}). Pass a few rows of what the model was fitted on."
        ) from error
    if matrix.ndim != 2 or not len(matrix) or not matrix.shape[1]:
        raise UnusableExample(
            f"the example has shape {matrix.shape}; at least one row of all inputs is needed, such as example=X[:5] or X.head(5)."
        )
    return matrix


def kinds_of(example: Any) -> list[Kind]:
    """What each column of a DataFrame or array is. Raises UnusableExample, naming the column."""
    if not is_frame(example):
        return ["float"] * as_matrix(example).shape[1]
    if not len(example) or not len(example.columns):
        raise UnusableExample("the example has no rows or no columns; pass a few rows, such as example=X.head(5).")
    return [_kind(name, example[name]) for name in _names(example)]


def columns_of(
    example: Any,
    kinds: Sequence[Kind],
    *,
    categories: Mapping[str, Sequence[str]],
    unseen: Mapping[str, Unseen],
) -> list[Column]:
    """Signature columns of an example, nothing nullable yet; arrays get the names x0, x1, ... Raises UnusableExample."""
    names = _names(example) if is_frame(example) else [f"x{at}" for at in range(len(kinds))]
    for option, given in (("categories", categories), ("unseen", unseen)):
        if strange := sorted(set(given) - set(names)):
            raise UnusableExample(f"{option}= names {strange[0]!r}, which is no input; the inputs are: {', '.join(names)}.")
    columns = []
    for name, kind in zip(names, kinds, strict=True):
        if kind in _TYPES:
            if name in categories:
                raise UnusableExample(
                    f"categories= names column {name!r}, which holds numbers; only text columns have categories."
                )
            columns.append(Column(name=name, type=_TYPES[kind]))
            continue
        vocabulary = tuple(categories[name]) if name in categories else _vocabulary(name, example[name], kind)
        columns.append(Column(name=name, type="string", categories=vocabulary, unseen=unseen.get(name, "refuse")))
    return columns


def encode(example: Any, signature: Signature) -> Rows:
    """Shape (rows, inputs): numbers as they are, categories as their index, missing and unknown ones as NaN."""
    if not is_frame(example):
        matrix = as_matrix(example)
        if matrix.shape[1] != len(signature.inputs):
            raise UnusableExample(f"these rows have {matrix.shape[1]} columns, the model takes {len(signature.inputs)}.")
        return matrix
    encoded = np.empty((len(example), len(signature.inputs)))
    for at, column in enumerate(signature.inputs):
        if column.name not in example.columns:
            raise UnusableExample(f"these rows have no column {column.name!r}, which the model takes.")
        values = example[column.name]
        if column.categories is None:
            encoded[:, at] = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            index = {category: position for position, category in enumerate(column.categories)}
            codes = [index.get(str(value), np.nan) for value in values.astype(object)]
            encoded[:, at] = np.where(values.isna(), np.nan, codes)
    return encoded


class FrameBuilder:
    """Rebuilds the DataFrame that the model was fitted on from encoded rows. Thread-safe."""

    def __init__(self, signature: Signature, kinds: Sequence[Kind]) -> None:
        import pandas

        self._pandas = pandas
        self._columns = list(zip([column.name for column in signature.inputs], kinds, strict=True))
        self._types: dict[int, Any] = {}
        self._texts: dict[int, Any] = {}
        for at, (column, kind) in enumerate(zip(signature.inputs, kinds, strict=True)):
            if kind == "text":
                # One entry more than there are categories: index -1, missing, finds it.
                self._texts[at] = np.array([*(column.categories or ()), np.nan], dtype=object)
            elif column.categories is not None:
                values = [int(c) for c in column.categories] if kind == "category of int" else list(column.categories)
                self._types[at] = pandas.CategoricalDtype(values)

    def build(self, rows: Rows) -> Any:
        return self._pandas.DataFrame({name: self._column(rows, at, kind) for at, (name, kind) in enumerate(self._columns)})

    def _column(self, rows: Rows, at: int, kind: Kind) -> Any:
        values = rows[:, at]
        missing = np.isnan(values)
        if at in self._types or at in self._texts:
            codes = np.where(missing, -1, values).astype(np.int64)
            if at in self._types:
                return self._pandas.Categorical.from_codes(codes, dtype=self._types[at])
            return self._texts[at][codes]
        if kind == "float" or missing.any():
            return values
        return values.astype(np.int64 if kind == "int" else np.bool_)


def _names(example: Any) -> list[str]:
    names = list(example.columns)
    for name in names:
        if not isinstance(name, str):
            raise UnusableExample(f"column {name!r} has no text name; rename the columns with X.columns = [...] and fit again.")
    if len(set(names)) != len(names):
        raise UnusableExample("two columns of the example have the same name; a request could not tell them apart.")
    return names


def _kind(name: str, values: Any) -> Kind:
    from pandas.api import types

    dtype = values.dtype
    if dtype.name == "category":
        if types.is_integer_dtype(dtype.categories.dtype):
            return "category of int"
        if all(isinstance(value, str) for value in dtype.categories):
            return "category of text"
        raise UnusableExample(
            f"column {name!r} has categories that are neither text nor whole numbers ({dtype.categories.dtype})."
        )
    if types.is_bool_dtype(dtype):
        return "bool"
    if types.is_integer_dtype(dtype):
        return "int"
    if types.is_float_dtype(dtype):
        return "float"
    if types.is_string_dtype(dtype) or types.is_object_dtype(dtype):
        return "text"
    raise UnusableExample(
        f"column {name!r} has the type {dtype}, which a request cannot carry. Use numbers, booleans, text or categories; "
        "turn moments into numbers first."
    )


def _vocabulary(name: str, values: Any, kind: Kind) -> tuple[str, ...]:
    if kind == "text":
        raise UnusableExample(
            f"column {name!r} holds text, and a few rows do not tell all its values. Fit on a column of type category, "
            f"or pass categories={{{name!r}: [...]}}."
        )
    return tuple(str(value) for value in values.dtype.categories)
