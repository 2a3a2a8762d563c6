"""Rows as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tilth.core.errors import Invalid


class FramesMissing(Invalid):
    """pandas is not installed."""

    def __init__(self) -> None:
        super().__init__("pandas is not installed here: pip install pandas, or take polars (.polars()) or plain rows (.rows())")


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """One list for each key, in order of first sight; None where a row lacks it."""
    names = {name: None for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names}


def polars_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A polars DataFrame. Columns that begin with `metrics.` are floats."""
    import polars  # 0.2 s, which a program that only tracks need not pay

    columns = columns_of(rows)
    return polars.DataFrame(
        columns, schema_overrides={name: polars.Float64 for name in columns if _is_number(name)}, strict=False
    )


def pandas_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """As polars_frame, of pandas; missing numbers are NaN."""
    try:
        import pandas
    except ImportError as missing:
        raise FramesMissing from missing
    columns = columns_of(rows)
    made = pandas.DataFrame(columns)
    return made.astype({name: "float64" for name in columns if _is_number(name)})


def _is_number(name: str) -> bool:
    return name.startswith("metrics.") or name == "value"
