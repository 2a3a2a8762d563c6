"""Runs side by side as a table: what stands in which cell, and which is the best. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tilth.web.formatting import number
from tilth.web.metric_names import lower_is_better
from tilth.web.run_table import MAX_CELL_CHARS, Column, RunValues, cell_text
from tilth.wire.tracking import RunInfo

UPRIGHT_RUNS = 12
"""Up to so many runs are the columns of the table, as one compares two or three; more stand below each other."""
SHOWN_RUNS = 60
SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Value:
    """title: the whole value where `text` is shorter, else empty."""

    text: str
    best: bool = False
    numeric: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """upright: columns are runs and lines are params and metrics; otherwise the other way round. hidden_*: left out of the table."""

    upright: bool
    runs: Sequence[RunInfo]
    columns: Sequence[Column]
    lines: Sequence[Sequence[Value]]
    hidden_runs: int
    hidden_columns: int


def matrix(runs: Sequence[RunInfo], columns: Sequence[Column], values: RunValues) -> Matrix:
    """At most 12 runs upright with every column; of more runs the first 60, with the first 20 columns."""
    upright = len(runs) <= UPRIGHT_RUNS
    shown_runs = runs if upright else runs[:SHOWN_RUNS]
    shown_columns = columns if upright else columns[:SHOWN_COLUMNS]
    cells = [_cells(column, [values.of(column, run.id) for run in runs])[: len(shown_runs)] for column in shown_columns]
    lines = cells if upright else [[row[place] for row in cells] for place in range(len(shown_runs))]
    return Matrix(upright, shown_runs, shown_columns, lines, len(runs) - len(shown_runs), len(columns) - len(shown_columns))


def number_of(value: float | str | None) -> float | str | None:
    """A value as a drawing takes it: six digits of a finite number, a text that reads as one as that number, other text as it is."""
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            return value[:MAX_CELL_CHARS]
        return number_of(found) if math.isfinite(found) else value
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _cells(column: Column, found: Sequence[float | str | None]) -> list[Value]:
    finite = [value for value in found if isinstance(value, (int, float)) and math.isfinite(value)]
    best: float | None = None
    if column.kind == "metric" and len(set(finite)) > 1:
        best = min(finite) if lower_is_better(column.label) else max(finite)
    return [_cell(value, best) for value in found]


def _cell(value: float | str | None, best: float | None) -> Value:
    if value is None:
        return Value("–")
    if isinstance(value, str):
        text, whole = cell_text(value)
        return Value(text, numeric=isinstance(number_of(value), float), title=whole)
    return Value(number(value), best=best is not None and value == best, numeric=True)
