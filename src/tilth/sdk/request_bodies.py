"""The body of a prediction request, from whatever a program holds its rows in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tilth.core.errors import Invalid


class InvalidRows(Invalid):
    """Rows that no request can be made of."""


def body_of(rows: Any) -> bytes:
    """One of MLflow's JSON forms; NaN and what is missing become null, and every number keeps all its digits.

    rows: a DataFrame of pandas or polars, a table of pyarrow, an array, a list of dicts (by column) or of lists, or one dict: a row, or
    arrays by name. Raises InvalidRows.
    """
    try:
        return msgspec.json.encode(_form(rows), enc_hook=_plain)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRows(f"the rows cannot be sent: {error}; give numbers, text, true or false, or None") from error


def _form(rows: Any) -> dict[str, Any]:
    if hasattr(rows, "get_columns") or (hasattr(rows, "iloc") and hasattr(rows, "columns")):
        return {"dataframe_split": _split(rows)}
    if hasattr(rows, "to_pydict"):
        return {"inputs": rows.to_pydict()}
    if hasattr(rows, "tolist") and hasattr(rows, "index"):
        raise InvalidRows(
            "a Series is one column or one row, and does not say which; give a DataFrame, such as X.iloc[[0]] or X.head(1)"
        )
    if hasattr(rows, "tolist"):
        return {"instances": rows.tolist()}
    if isinstance(rows, dict) and rows:
        by_name = all(_holds_many(value) for value in rows.values())
        return {"inputs": rows} if by_name else {"dataframe_records": [rows]}
    if isinstance(rows, list | tuple) and rows:
        return {"dataframe_records" if isinstance(rows[0], dict) else "instances": rows}
    raise InvalidRows("give a DataFrame, an array, or a non-empty list of dicts or lists")


def _holds_many(value: Any) -> bool:
    return isinstance(value, list | tuple) or (hasattr(value, "tolist") and bool(getattr(value, "ndim", 0)))


def _split(frame: Any) -> dict[str, Any]:
    names = [str(name) for name in frame.columns]
    if hasattr(frame, "get_columns"):
        columns = [column.to_list() for column in frame.get_columns()]
    else:
        columns = [_values(frame.iloc[:, at]) for at in range(len(names))]
    return {"columns": names, "data": list(zip(*columns, strict=True))}


def _values(column: Any) -> Sequence[Any]:
    """Of a column of pandas. A category is known by its text, whole numbers included, as the signature has it."""
    values: list[Any] = column.tolist()
    if column.dtype.name != "category":
        return values
    return [None if missing else str(value) for value, missing in zip(values, column.isna(), strict=True)]


def _plain(value: Any) -> Any:
    """Scalars and arrays of numpy as Python has them; pandas' signs of a missing value as None. Raises TypeError."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(f"a value of type {type(value).__name__}")
