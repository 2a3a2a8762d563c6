"""From what somebody typed into the form of a model's inputs to a request. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tilth.core.errors import Invalid
from tilth.wire.signature import Column, Signature

MOST_FIELDS = 80
"""Inputs that a form shows; a model with more is asked with JSON."""

_BOOLEANS = {"true": True, "false": False}


class UnreadableField(Invalid):
    """A field of the form holds what its column cannot be. `column` is its name."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(f"{column}: {message}")
        self.column = column


def fits_a_form(signature: Signature) -> bool:
    return not signature.tensors and 0 < len(signature.inputs) <= MOST_FIELDS


def request_of(inputs: Sequence[Column], typed: Mapping[str, str]) -> bytes:
    """One row in MLflow's form `dataframe_records`. typed: text by column; empty or absent is null. Raises UnreadableField."""
    row = {column.name: _value(column, typed.get(column.name, "")) for column in inputs}
    return msgspec.json.encode({"dataframe_records": [row]})


def first_row(example: bytes, inputs: Sequence[Column]) -> dict[str, Any]:
    """The first row of a request in one of MLflow's forms, by column; empty where it is none or does not fit the inputs."""
    names = [column.name for column in inputs]
    try:
        document = msgspec.json.decode(example)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    match document:
        case {"dataframe_split": {"columns": list(columns), "data": [list(row), *_]}}:
            found = dict(zip([str(name) for name in columns], row, strict=False))
        case {"inputs": [list(row), *_]} | {"instances": [list(row), *_]}:
            found = dict(zip(names, row, strict=False))
        case {"inputs": dict(columns)}:
            found = {name: values[0] for name, values in columns.items() if isinstance(values, list) and values}
        case {"dataframe_records": [dict(row), *_]}:
            found = row
        case _:
            return {}
    return found if set(found) >= set(names) else {}


def shown(value: Any) -> str:
    """A value as it stands in a field of the form."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _value(column: Column, text: str) -> Any:
    if column.type == "string":
        # Empty text is a value only where no list says which values there are.
        return text if text or (column.categories is None and not column.nullable) else None
    text = text.strip()
    if not text:
        return None
    match column.type:
        case "boolean":
            if text.lower() not in _BOOLEANS:
                raise UnreadableField(column.name, f"{text[:40]!r} is neither true nor false")
            return _BOOLEANS[text.lower()]
        case "long":
            try:
                return int(text)
            except ValueError:
                raise UnreadableField(column.name, f"{text[:40]!r} is no whole number") from None
        case _:
            return _number(column.name, text)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UnreadableField(name, f"{text[:40]!r} is no number") from None
    if not math.isfinite(value):
        raise UnreadableField(name, f"{text[:40]!r} is no finite number; leave the field empty for a missing value")
    return value
