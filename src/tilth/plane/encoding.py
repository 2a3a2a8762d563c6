"""From a request's JSON to one float array, by the signature of the model. Pure, and part of the hot path.

Never a DataFrame: building one costs more than most models. Values are checked a column at a time, since a set of types or one
dictionary look-up per value is what keeps a row at a few microseconds; only when a column is refused is the culprit looked for.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, NoReturn

import msgspec
import numpy as np

from tilth.flavours.port import Rows
from tilth.plane.columns import Picker
from tilth.plane.forms import Form, InvalidBody, Table, table_of
from tilth.plane.problems import MAX_EXACT, NullValue, UnseenCategory, UnsuitableSignature, WrongType
from tilth.plane.tensors import Tensors, column_arrays, floats_of, is_wide, numbers, texts
from tilth.wire.signature import Column, Signature

MAX_COMPARED = 100
"""Of a vocabulary: for the guess in an error message."""

_EXPECTED = {"double": "a number", "long": "a whole number", "boolean": "true or false", "string": "a string"}
_JSON_NAMES = {str: "the string", int: "the number", float: "the number", bool: "the boolean", list: "a list", dict: "an object"}
_NONE = type(None)


class Encoder:
    """For a model that takes one table of numbers. Made once per loaded version. Raises UnsuitableSignature."""

    def __init__(self, signature: Signature) -> None:
        self.picker = Picker(signature.inputs)
        self._coders = tuple(coder_of(column) for column in signature.inputs)
        types = [column.type for column in signature.inputs]
        self._plain = set(types) <= {"double", "long"}
        self._whole = [at for at, type_ in enumerate(types) if type_ == "long"]
        # Of every value of a row, whatever its column.
        self._kinds = frozenset((int, float) if any(not column.nullable for column in signature.inputs) else (int, float, _NONE))
        self._never_missing = [at for at, column in enumerate(signature.inputs) if not column.nullable]

    def encode(self, given: Form | Table | Tensors) -> Rows:
        """The rows of a request, shape (rows, inputs), C order; (0, inputs) for an empty batch.

        Raises a kind of Invalid whose message names column, row (from 0), what was expected and what came.
        """
        if isinstance(given, Tensors):
            return self._encode_tensors(given)
        table = table_of(given) if isinstance(given, Form) else given
        if self._plain and (quick := self._of_number_lists(table)) is not None:
            return quick
        columns = self.picker.columns(table)
        if not columns or not len(columns[0]):
            return np.empty((0, len(self.picker.names)))
        coded = [coder.code(values) for coder, values in zip(self._coders, columns, strict=True)]
        try:
            rows = np.array(coded, dtype=np.float64)
        except OverflowError:
            self._blame_overflow(coded)
        return np.ascontiguousarray(rows.T)

    def _of_number_lists(self, table: Table) -> Rows | None:
        """Rows of lists, in the signature's order, of nothing but sound numbers: checked all at once. None for anything else."""
        rows, names = table.rows, self.picker.names
        if not rows or type(rows[0]) is not list or (table.names is not None and tuple(table.names) != names):
            return None
        if set(map(len, rows)) != {len(names)}:
            return None
        if not table.numeric and not self._kinds.issuperset(map(type, chain.from_iterable(rows))):
            return None
        try:
            found = np.array(rows, dtype=np.float64)
        except OverflowError:
            return None
        if table.numeric and self._never_missing and np.isnan(found[:, self._never_missing]).any():
            return None
        if self._whole:
            whole = found[:, self._whole]
            # A missing value is unequal to itself; an integer at the bound may be one beyond it that was rounded.
            if (whole != np.rint(whole)).any() or (np.abs(whole) >= MAX_EXACT).any():
                return None
        return found

    def _encode_tensors(self, given: Tensors) -> Rows:
        columns = [coder.column for coder in self._coders]
        wide = is_wide(given, columns)
        if self._plain and (quick := self._quickly(floats_of(given, columns))) is not None:
            return quick
        arrays = column_arrays(given, columns, self.picker)
        rows = np.empty((len(arrays[0]), len(columns)))
        for at, (coder, array) in enumerate(zip(self._coders, arrays, strict=True)):
            if isinstance(coder, CategoryColumn):
                rows[:, at] = coder.code(texts(coder.column, array))
            else:
                rows[:, at] = numbers(coder.column, array, wide=wide)
        return rows

    def _quickly(self, rows: Rows | None) -> Rows | None:
        """The rows of floats that are all as they should be, checked at once; anything else is looked at column by column."""
        if rows is None:
            return None
        if not np.isfinite(rows).all() and (np.isinf(rows).any() or np.isnan(rows[:, self._never_missing]).any()):
            return None
        if self._whole:
            whole = rows[:, self._whole]
            whole = whole[~np.isnan(whole)]
            if (whole != np.rint(whole)).any() or (np.abs(whole) > MAX_EXACT).any():
                return None
        return rows

    def _blame_overflow(self, coded: Sequence[Sequence[Any]]) -> NoReturn:
        for coder, values in zip(self._coders, coded, strict=True):
            blame_overflow(coder.column, values)
        raise InvalidBody("a number is too large for a 64-bit float")


class NumberColumn:
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


class CategoryColumn:
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
        raise _unseen(self.column, row, value)


class TextColumn:
    """string as it is, for models that take named arrays; a vocabulary, where there is one, is kept to."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self._allowed = frozenset((str, _NONE)) if column.nullable else frozenset((str,))
        self._known = None if column.categories is None else frozenset(column.categories)

    def code(self, values: Sequence[Any]) -> Sequence[Any]:
        """Strings and None."""
        if not self._allowed.issuperset(map(type, values)):
            row, value = next((row, v) for row, v in enumerate(values) if type(v) not in self._allowed)
            _refuse(self.column, row, value)
        return values if self._known is None else [self._known_one(row, value) for row, value in enumerate(values)]

    def _known_one(self, row: int, value: str | None) -> str | None:
        assert self._known is not None
        if value is None or value in self._known:
            return value
        if self.column.unseen == "missing":
            return None
        raise _unseen(self.column, row, value)


Coder = NumberColumn | CategoryColumn


def coder_of(column: Column) -> Coder:
    """Raises UnsuitableSignature."""
    return CategoryColumn(column) if column.type == "string" else NumberColumn(column)


def _refuse(column: Column, row: int, value: Any) -> NoReturn:
    expected = _EXPECTED[column.type]
    if value is None:
        raise NullValue(f"{_place(column, row)}: expected {expected}, got null; the column had no missing values in training")
    # Parquet knows more kinds of values than JSON: dates, decimals, bytes.
    kind = _JSON_NAMES.get(type(value), f"a {type(value).__name__}")
    shown = " " + msgspec.json.encode(value).decode()[:80] if type(value) in (str, int, float, bool) else ""
    known = shown and str(value) in (column.categories or ())
    hint = f'; its categories are text, numbers too: send "{value}"' if known else ""
    raise WrongType(f"{_place(column, row)}: expected {expected}, got {kind}{shown}{hint}")


def _unseen(column: Column, row: int, value: str) -> UnseenCategory:
    known = column.categories or ()
    # The event loop waits for this: with thousands of categories a likeness to each would take longer than a thousand predictions.
    near = difflib.get_close_matches(value[:80], known[:MAX_COMPARED], 5) or list(known[:5])
    more = f" and {len(known) - len(near)} more" if len(known) > len(near) else ""
    return UnseenCategory(
        f"{_place(column, row)}: {value[:80]!r} was not seen in training; known are {', '.join(map(repr, near))}{more}"
    )


def _place(column: Column, row: int) -> str:
    return f"column {column.name!r}, row {row}"


def blame_overflow(column: Column, values: Sequence[Any]) -> None:
    """Raises WrongType for the first number that a 64-bit float cannot hold."""
    for row, value in enumerate(values):
        if value is not None and abs(value) > sys.float_info.max:
            raise WrongType(f"{_place(column, row)}: the number is too large for a 64-bit float")
