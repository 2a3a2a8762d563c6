"""Between DataFrames and encoded rows: what a column of a training example is, and how a request becomes that column again.

pandas is imported inside the functions that need it: a compiled model is served without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tilth.flavours.port import Arrays, Rows, UnusableExample
from tilth.wire.signature import Column, ColumnType, Signature, Unseen

Kind = Literal["float", "int", "bool", "text", "category of text", "category of int"]
"""How a column is rebuilt for the framework. Kept in `tilth.json` beside the signature, in its order."""

Container = Literal["dataframe", "array"]

_TYPES: dict[Kind, ColumnType] = {"float": "double", "int": "long", "bool": "boolean"}


def is_frame(example: Any) -> bool:
    """Whether it is a pandas DataFrame, without importing pandas."""
    kind = type(example)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def as_table(example: Any) -> Any:
    """A polars DataFrame, a row as a dict or several, as a pandas DataFrame; anything else as it is.

    Columns of polars' Enum become columns of categories; a Categorical knows no whole vocabulary and counts as text.
    """
    kind = type(example)
    if _is_row(example) or (isinstance(example, list) and example and all(map(_is_row, example))):
        import pandas

        return pandas.DataFrame(example if isinstance(example, list) else [example])
    if kind.__module__.partition(".")[0] != "polars" or kind.__name__ != "DataFrame":
        return example
    import pandas

    columns = {}
    for name in example.columns:
        values = example[name]
        if values.dtype.base_type().__name__ == "Enum":
            columns[name] = pandas.Categorical(values.to_list(), categories=values.dtype.categories.to_list())
        else:
            # Without pyarrow; a column of numbers that has missing values becomes float, as pandas has it.
            columns[name] = values.to_numpy() if values.dtype.is_numeric() else pandas.array(values.to_list())
    return pandas.DataFrame(columns)


def _is_row(given: Any) -> bool:
    return isinstance(given, dict) and all(isinstance(value, str | int | float | bool | None) for value in given.values())


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
    free_text: bool = False,
) -> list[Column]:
    """Signature columns of an example, nothing nullable yet; arrays get the names x0, x1, ...

    free_text: whether a column of text may do without a vocabulary. Raises UnusableExample.
    """
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
        if free_text and kind == "text" and name not in categories:
            columns.append(Column(name=name, type="string"))
            continue
        vocabulary = tuple(categories[name]) if name in categories else _vocabulary(name, example[name], kind)
        columns.append(Column(name=name, type="string", categories=vocabulary, unseen=unseen.get(name, "refuse")))
    return columns


def encode(example: Any, signature: Signature) -> Rows:
    """Shape (rows, inputs): numbers as they are, categories as their index, missing and unknown ones as NaN."""
    example = as_table(example)
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
            encoded[:, at] = _floats(column.name, values)
        else:
            index = {category: position for position, category in enumerate(column.categories)}
            codes = [index.get(str(value), np.nan) for value in values.astype(object)]
            encoded[:, at] = np.where(values.isna(), np.nan, codes)
    return encoded


def _floats(name: str, values: Any) -> Rows:
    try:
        floats: Rows = values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise UnusableExample(f"column {name!r} takes numbers, and these rows hold others there ({error}).") from error
    return floats


def named_arrays(example: Any, signature: Signature) -> Arrays:
    """The columns of a DataFrame as a model of named arrays takes them. Raises UnusableExample."""
    arrays = {}
    for column in signature.inputs:
        if column.name not in example.columns:
            raise UnusableExample(f"these rows have no column {column.name!r}, which the model takes.")
        values = example[column.name]
        missing = values.isna().to_numpy()
        if missing.any() and not column.nullable:
            raise UnusableExample(f"these rows lack values of {column.name!r}, and the model takes no missing ones there.")
        if column.type == "string" or (column.type == "boolean" and column.nullable):
            texts = values.astype(object).to_numpy(copy=True)
            texts[missing] = None
            arrays[column.name] = texts
        else:
            whole = column.type == "long" and not column.nullable
            kind = np.bool_ if column.type == "boolean" else np.int64 if whole else np.float64
            arrays[column.name] = (
                values.to_numpy(dtype=kind) if kind is not np.float64 else values.to_numpy(kind, na_value=np.nan)
            )
    return arrays


class FrameBuilder:
    """Rebuilds the DataFrame that the model was fitted on from encoded rows, or from arrays by name. Thread-safe."""

    def __init__(self, signature: Signature, kinds: Sequence[Kind]) -> None:
        import pandas

        self._pandas = pandas
        self._columns = list(zip([column.name for column in signature.inputs], kinds, strict=True))
        self._types: dict[int, Any] = {}
        self._texts: dict[int, Any] = {}
        for at, (column, kind) in enumerate(zip(signature.inputs, kinds, strict=True)):
            if kind == "text" and column.categories is not None:
                # One entry more than there are categories: index -1, missing, finds it.
                self._texts[at] = np.array([*column.categories, np.nan], dtype=object)
            elif column.categories is not None:
                values = [int(c) for c in column.categories] if kind == "category of int" else list(column.categories)
                self._types[at] = pandas.CategoricalDtype(values)

    def build(self, rows: Rows) -> Any:
        return self._pandas.DataFrame({name: self._column(rows, at, kind) for at, (name, kind) in enumerate(self._columns)})

    def of_arrays(self, arrays: Arrays) -> Any:
        return self._pandas.DataFrame(
            {
                name: self._pandas.Categorical(arrays[name], dtype=self._types[at]) if at in self._types else arrays[name]
                for at, (name, _) in enumerate(self._columns)
            }
        )

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
