"""From the bytes of a Parquet file to rows as the API shows them. Pure.

polars is imported on first use: 40 MB that a control process whose predictions nobody looks at need not hold.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilth.domains.serving.types.predictions import PredictionsUnreadable
from tilth.wire.prediction_tables import PredictionRow

if TYPE_CHECKING:
    import polars as pl

INPUT, OUTPUT = "in_", "out_"


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


def rows_of(file_id: str, content: bytes, wanted: Wanted) -> list[PredictionRow]:
    """Newest first; rows of one request in their order. Blocks for the whole file. Raises PredictionsUnreadable."""
    import polars as pl

    try:
        frame = pl.scan_parquet(io.BytesIO(content))
        chosen = frame.filter(*_conditions(wanted)).sort(["at", "prediction_id", "row"], descending=[True, True, False])
        found = chosen.slice(wanted.offset, wanted.limit).with_columns(pl.col("at").dt.timestamp("ms")).collect()
    except pl.exceptions.PolarsError as error:
        raise PredictionsUnreadable(file_id, str(error)) from error
    return [_row(values) for values in found.iter_rows(named=True)]


def answers_of(file_id: str, content: bytes, wanted: Wanted) -> pl.DataFrame:
    """prediction_id, row, at (ms), version, latency_us and the outputs, newest first. Blocks. Raises PredictionsUnreadable."""
    import polars as pl

    try:
        frame = pl.scan_parquet(io.BytesIO(content))
        outputs = [name for name in frame.collect_schema().names() if name.startswith(OUTPUT)]
        chosen = frame.filter(*_conditions(wanted)).sort(["at", "prediction_id", "row"], descending=[True, True, False])
        return (
            chosen.slice(wanted.offset, wanted.limit)
            .select("prediction_id", "row", pl.col("at").dt.timestamp("ms"), "version", "latency_us", *outputs)
            .collect()
        )
    except pl.exceptions.PolarsError as error:
        raise PredictionsUnreadable(file_id, str(error)) from error


def _conditions(wanted: Wanted) -> list[pl.Expr]:
    import polars as pl

    at = pl.col("at").dt.timestamp("ms")
    conditions = [at >= wanted.since, at < wanted.until]
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
