"""From a request's JSON to one float array, by the signature of the model. Pure, and part of the hot path.

Never a DataFrame: building one costs more than most models. Values are checked a column at a time, since a set of types or one
dictionary look-up per value is what keeps a row at a few microseconds; only when a column is refused is the culprit looked for.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.plane.forms import InvalidBody, Table, WrongWidth, read_table
from tilth.wire.signature import Column, Signature

Rows = NDArray[np.float64]

MAX_EXACT = 1 << 53
"""Integers beyond this have no exact float64; they are refused rather than rounded in silence."""

MAX_COMPARED = 100
"""Of a vocabulary: for the guess in an error message."""

_EXPECTED = {"double": "a number", "long": "a whole number", "boolean": "true or false", "string": "a string"}
_JSON_NAMES = {str: "the string", int: "the number", float: "the number", bool: "the boolean", list: "a list", dict: "an object"}
_NONE = type(None)


class UnsuitableSignature(Invalid):
    """A signature that cannot be turned into numbers."""


class MissingColumn(Invalid):
    """The request lacks an input of the model."""


class ExtraColumn(Invalid):
    """The request holds a column that is no input of the model."""


class WrongType(Invalid):
    """A value is not of its column's type."""


class NullValue(Invalid):
    """A value is null in a column that takes none."""


class UnseenCategory(Invalid):
    """A string outside the vocabulary of its column."""


class Encoder:
    """Made once per loaded version. Raises UnsuitableSignature."""

    def __init__(self, signature: Signature) -> None:
        if not signature.inputs:
            raise UnsuitableSignature("the signature has no inputs: log the model again with an example")
        self.names = tuple(column.name for column in signature.inputs)
        self._name_set = frozenset(self.names)
        if len(self._name_set) != len(self.names):
            raise UnsuitableSignature("the signature names an input twice: log the model again with distinct column names")
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None
        self._coders = tuple(_coder(column) for column in signature.inputs)

    def encode(self, body: bytes) -> Rows:
        """The rows of a request, shape (rows, inputs), C order; (0, inputs) for an empty batch.

        Raises a kind of Invalid whose message names column, row (from 0), what was expected and what came.
        """
        columns = self._columns(read_table(body))
        if not columns or not len(columns[0]):
            return np.empty((0, len(self.names)))
        coded = [coder.code(values) for coder, values in zip(self._coders, columns, strict=True)]
        try:
            table = np.array(coded, dtype=np.float64)
        except OverflowError:
            self._blame_overflow(coded)
        return np.ascontiguousarray(table.T)

    def _columns(self, table: Table) -> Sequence[Sequence[Any]]:
        """One sequence of values per input, in the signature's order."""
        if table.columns is not None:
            self._check_names(table.columns.keys())
            return [table.columns[name] for name in self.names]
        if not table.rows:
            if table.names is not None:
                self._check_names(table.names)
            return []
        if isinstance(table.rows[0], dict):
            return self._columns_of_records(table.rows)
        if table.names is not None and tuple(table.names) != self.names:
            self._check_names(table.names)
            columns = self._columns_of_lists(table.rows)
            return [columns[table.names.index(name)] for name in self.names]
        return self._columns_of_lists(table.rows)

    def _columns_of_records(self, records: Sequence[dict[str, Any]]) -> Sequence[Sequence[Any]]:
        for number, record in enumerate(records):
            if record.keys() != self._name_set:
                self._check_names(record.keys(), row=number)
        if self._pick is None:
            return [[record[self.names[0]] for record in records]]
        return list(zip(*map(self._pick, records), strict=True))

    def _columns_of_lists(self, rows: Sequence[list[Any]]) -> Sequence[Sequence[Any]]:
        width = len(self.names)
        if set(map(len, rows)) != {width}:
            number, row = next((number, row) for number, row in enumerate(rows) if len(row) != width)
            raise WrongWidth(f"row {number} has {len(row)} values, the model takes {width}: {_listed(self.names)}")
        return list(zip(*rows, strict=True))

    def _check_names(self, given: Any, row: int | None = None) -> None:
        names = list(given)
        where = "" if row is None else f" in row {row}"
        for name in self.names:
            if name not in names:
                raise MissingColumn(f"column {name!r} is missing{where}; the model takes {_listed(self.names)}")
        for name in names:
            if name not in self._name_set:
                near = difflib.get_close_matches(name, self.names, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"the model takes {_listed(self.names)}"
                raise ExtraColumn(f"column {name[:80]!r}{where} is no input of the model; {hint} Remove or rename it.")
        if len(names) != len(self.names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ExtraColumn(f"column {twice!r} is given twice{where}; give each column once")

    def _blame_overflow(self, coded: Sequence[Sequence[Any]]) -> NoReturn:
        for coder, values in zip(self._coders, coded, strict=True):
            for row, value in enumerate(values):
                if value is not None and abs(value) > sys.float_info.max:
                    raise WrongType(f"{_place(coder.column, row)}: the number is too large for a 64-bit float")
        raise InvalidBody("a number is too large for a 64-bit float")


class _NumberColumn:
    """double, long and boolean: the types of a whole column are compared at once."""

    def __init__(self, column: Column) -> None:
        kinds: tuple[type, ...] = (bool,) if column.type == "boolean" else (int, float)
        self.column = column
        self._allowed = frozenset((*kinds, _NONE)) if column.nullable else frozenset(kinds)

    def code(self, values: Sequence[Any]) -> Sequence[Any]:
        if not self._allowed.issuperset(map(type, values)):
            row, value = next((row, v) for row, v in enumerate(values) if type(v) not in self._allowed)
            _refuse(self.column, row, value)
        if self.column.type == "long":
            self._check_whole(values)
        return values

    def _check_whole(self, values: Sequence[Any]) -> None:
        for row, value in enumerate(values):
            if value is None:
                continue
            if type(value) is float and not value.is_integer():
                _refuse(self.column, row, value)
            if not -MAX_EXACT <= value <= MAX_EXACT:
                raise WrongType(f"{_place(self.column, row)}: {value} is beyond 2**53, which a 64-bit float cannot hold exactly")


class _CategoryColumn:
    """string: the value's index in the vocabulary."""

    def __init__(self, column: Column) -> None:
        if column.categories is None:
            raise UnsuitableSignature(
                f"input {column.name!r} is a string without a vocabulary: log the model again with the column as a category"
            )
        self.column = column
        self._codes: dict[Any, float] = {category: float(code) for code, category in enumerate(column.categories)}
        if column.nullable:
            self._codes[None] = math.nan

    def code(self, values: Sequence[Any]) -> Sequence[Any]:
        codes = self._codes
        try:
            return [codes[value] for value in values]
        except (KeyError, TypeError):
            return [self._code_one(row, value) for row, value in enumerate(values)]

    def _code_one(self, row: int, value: Any) -> float:
        if type(value) is not str:
            if value is None and self.column.nullable:
                return math.nan
            _refuse(self.column, row, value)
        code = self._codes.get(value)
        if code is not None:
            return code
        if self.column.unseen == "missing":
            return math.nan
        known = self.column.categories or ()
        # The event loop waits for this: with thousands of categories a likeness to each would take longer than a thousand predictions.
        near = difflib.get_close_matches(value[:80], known[:MAX_COMPARED], 5) or list(known[:5])
        more = f" and {len(known) - len(near)} more" if len(known) > len(near) else ""
        raise UnseenCategory(
            f"{_place(self.column, row)}: {value[:80]!r} was not seen in training; known are {', '.join(map(repr, near))}{more}"
        )


def _coder(column: Column) -> _NumberColumn | _CategoryColumn:
    return _CategoryColumn(column) if column.type == "string" else _NumberColumn(column)


def _refuse(column: Column, row: int, value: Any) -> NoReturn:
    expected = _EXPECTED[column.type]
    if value is None:
        raise NullValue(f"{_place(column, row)}: expected {expected}, got null; the column had no missing values in training")
    kind = _JSON_NAMES[type(value)]
    shown = "" if isinstance(value, list | dict) else " " + msgspec.json.encode(value).decode()[:80]
    raise WrongType(f"{_place(column, row)}: expected {expected}, got {kind}{shown}")


def _place(column: Column, row: int) -> str:
    return f"column {column.name!r}, row {row}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"
