"""From a Parquet file to rows as the API shows them: only the columns and the groups of rows that are asked for are read.

polars is imported on first use: 40 MB that a control process whose predictions nobody looks at need not hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilth.domains.serving.types.predictions import PredictionsUnreadable
from tilth.wire.prediction_tables import INPUT, OUTPUT, PredictionRow

if TYPE_CHECKING:
    import polars as pl

KEYS = ("prediction_id", "row", "version")
"""Of a row: a version in the shadow answers under the id of the answer that was given."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a file: those in [since, until) ms, of these versions (None: any), of this prediction (empty: any).

    offset, limit: counted from the newest row.
    """

    since: int = 0
    until: int = 1 << 53
    versions: Collection[int] | None = None
    prediction_id: str = ""
    offset: int = 0
    limit: int = 10_000


def rows_of(file_id: str, path: Path, wanted: Wanted) -> list[PredictionRow]:
    """Newest first; rows of one request in their order. Blocks. Raises PredictionsUnreadable."""
    import polars as pl

    try:
        frame = pl.scan_parquet(path).filter(*_conditions(wanted))
        # Which rows they are is told by a few columns; the others are read of these rows alone.
        keys = _newest(frame.select("at", *KEYS), wanted).collect()
        span = pl.col("at").is_between(pl.lit(keys["at"].min()), pl.lit(keys["at"].max()))
        rows = _ordered(frame.filter(span).join(keys.lazy(), on=KEYS, how="semi"))
        found = rows.with_columns(pl.col("at").dt.timestamp("ms")).collect()
    except pl.exceptions.PolarsError as error:
        raise PredictionsUnreadable(file_id, str(error)) from error
    return [_row(values) for values in found.iter_rows(named=True)]


def answers_of(file_id: str, path: Path, wanted: Wanted) -> pl.DataFrame:
    """prediction_id, row, at (ms), version, latency_us and the outputs, newest first. Blocks. Raises PredictionsUnreadable."""
    import polars as pl

    try:
        frame = pl.scan_parquet(path).filter(*_conditions(wanted))
        outputs = [name for name in frame.collect_schema().names() if name.startswith(OUTPUT)]
        chosen = _newest(frame.select("prediction_id", "row", "at", "version", "latency_us", *outputs), wanted)
        return chosen.with_columns(pl.col("at").dt.timestamp("ms")).collect()
    except pl.exceptions.PolarsError as error:
        raise PredictionsUnreadable(file_id, str(error)) from error


def _newest(frame: pl.LazyFrame, wanted: Wanted) -> pl.LazyFrame:
    return _ordered(frame).slice(wanted.offset, wanted.limit)


def _ordered(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.sort(["at", "prediction_id", "row"], descending=[True, True, False])


def _conditions(wanted: Wanted) -> list[pl.Expr]:
    """Such as the bounds of a group of rows can be held against."""
    import polars as pl

    since, until = (pl.lit(moment * 1000).cast(pl.Datetime("us", "UTC")) for moment in (wanted.since, wanted.until))
    conditions = [pl.col("at") >= since, pl.col("at") < until]
    if wanted.versions is not None:
        conditions.append(pl.col("version").is_in(list(wanted.versions)))
    if wanted.prediction_id:
        conditions.append(pl.col("prediction_id") == wanted.prediction_id)
    return conditions


def _row(values: Mapping[str, Any]) -> PredictionRow:
    latency = values["latency_us"]
    return PredictionRow(
        prediction_id=values["prediction_id"],
        row=values["row"],
        at=values["at"],
        model=values["model"],
        version=values["version"],
        shadow=values["shadow"],
        request_id=values["request_id"],
        route_key_hash=values["route_key_hash"],
        protocol=values["protocol"],
        latency_ms=latency / 1000 if latency is not None else None,
        sample_weight=values["sample_weight"],
        inputs={name.removeprefix(INPUT): value for name, value in values.items() if name.startswith(INPUT)},
        outputs={name.removeprefix(OUTPUT): value for name, value in values.items() if name.startswith(OUTPUT)},
    )
