"""Which values of a request belong to which input of the model: by name or by place. Pure, and part of the hot path."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from tilth.plane.forms import Table, WrongWidth
from tilth.plane.problems import ExtraColumn, MissingColumn, UnsuitableSignature
from tilth.wire.signature import Column, Tensor

MAX_COMPARED = 300
"""Of the names of inputs: for the guess in an error message, for which the event loop may wait."""


class Picker:
    """Made once per loaded version. Raises UnsuitableSignature."""

    def __init__(self, inputs: Sequence[Column] | Sequence[Tensor]) -> None:
        if not inputs:
            raise UnsuitableSignature("the signature has no inputs: log the model again with an example")
        self.names = tuple(given.name for given in inputs)
        self._name_set = frozenset(self.names)
        if len(self._name_set) != len(self.names):
            raise UnsuitableSignature("the signature names an input twice: log the model again with distinct names")
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None

    def columns(self, table: Table) -> Sequence[Sequence[Any]]:
        """One sequence of values per input, in the signature's order; none at all for no rows. Raises a kind of Invalid."""
        if table.columns is not None:
            self.check_names(table.columns.keys())
            return [table.columns[name] for name in self.names]
        if not table.rows:
            if table.names is not None:
                self.check_names(table.names)
            return []
        if isinstance(table.rows[0], dict):
            return self._columns_of_records(table.rows)
        if table.names is not None and tuple(table.names) != self.names:
            self.check_names(table.names)
            columns = self._columns_of_lists(table.rows)
            return [columns[table.names.index(name)] for name in self.names]
        return self._columns_of_lists(table.rows)

    def _columns_of_records(self, records: Sequence[dict[str, Any]]) -> Sequence[Sequence[Any]]:
        for number, record in enumerate(records):
            if record.keys() != self._name_set:
                self.check_names(record.keys(), row=number)
        if self._pick is None:
            return [[record[self.names[0]] for record in records]]
        return list(zip(*map(self._pick, records), strict=True))

    def _columns_of_lists(self, rows: Sequence[list[Any]]) -> Sequence[Sequence[Any]]:
        width = len(self.names)
        if set(map(len, rows)) != {width}:
            number, row = next((number, row) for number, row in enumerate(rows) if len(row) != width)
            raise WrongWidth(f"row {number} has {len(row)} values, the model takes {width}: {listed(self.names)}")
        return list(zip(*rows, strict=True))

    def check_names(self, given: Any, row: int | None = None, what: str = "column") -> None:
        """Raises MissingColumn and ExtraColumn unless these are the inputs' names, in any order."""
        names = list(given)
        known = set(names)
        where = "" if row is None else f" in row {row}"
        for name in self.names:
            if name not in known:
                raise MissingColumn(f"{what} {name!r} is missing{where}; the model takes {listed(self.names)}")
        for name in names:
            if name not in self._name_set:
                near = difflib.get_close_matches(name[:80], self.names[:MAX_COMPARED], 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"the model takes {listed(self.names)}"
                raise ExtraColumn(f"{what} {name[:80]!r}{where} is no input of the model: remove or rename it; {hint}")
        if len(names) != len(self.names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise ExtraColumn(f"{what} {twice!r} is given twice{where}; give each once")


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"
