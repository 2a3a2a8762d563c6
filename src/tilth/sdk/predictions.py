"""Kept predictions of a deployment as a data frame: what was asked, what was answered, and what came true."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tilth.core.errors import Invalid
from tilth.sdk.connection import Connection, connection
from tilth.sdk.moments import Moment, moment_of
from tilth.wire.prediction_tables import Flushed, LabelledRows, PredictionFilePage, PredictionFileView

if TYPE_CHECKING:
    import polars as pl

NEVER = 1 << 53
KEYS = ("prediction_id", "row")


class UnknownColumn(Invalid):
    """No file of the deployment has such a column."""


class MixedColumn(Invalid):
    """Predictions of different times hold one column in ways that no single column can."""


def predictions(
    deployment: str,
    *,
    since: Moment = 0,
    until: Moment = NEVER,
    columns: Sequence[str] | None = None,
    versions: Sequence[int] | None = None,
    labels: bool = False,
    shadow: bool = False,
    flush: bool = False,
) -> pl.DataFrame:
    """Rows that the deployment answered in [since, until), oldest first, as a polars DataFrame (`.to_pandas()`).

    Moments: `"2026-03-01"`, `"24h"` (before now), a datetime, ms. Inputs stand in columns `in_<name>`, outputs in `out_<name>`. columns:
    only these, in this order. labels: with `label`, null where none is known, and `label_at`, the moment of one by key. shadow: answers of
    versions in the shadow instead. flush: wait until the very last prediction is there (fresh ones take some seconds). A sample has
    `sample_weight` above 1. Raises UnknownColumn, MixedColumn, and what the server refuses.
    """
    target = connection()
    first, last = moment_of(since), moment_of(until)
    if flush:
        target.http.call("POST", f"{base_of(target, deployment)}/flush", Flushed)
    wanted = None if columns is None else [*columns, *(name for name in (*KEYS, "at") if name not in columns)]
    frames = [
        _chosen(content, first, last, versions, wanted)
        for file in files_of(target, deployment, first, last, shadow=shadow)
        if (content := _content(target, deployment, file))
    ]
    found = _joined(frames) if frames else _nothing()
    found = found.sort(["at", *KEYS])
    if labels:
        found = found.join(_labels(target, deployment, first, last), on=list(KEYS), how="left", maintain_order="left")
    if columns is None:
        return found
    return found.select(_checked(columns, found, labels=labels, any_file=bool(frames)))


def files_of(
    target: Connection, deployment: str, since: int, until: int, *, shadow: bool = False
) -> Iterator[PredictionFileView]:
    """Files that have rows of [since, until) in ms, newest first."""
    token = ""
    while True:
        query: dict[str, Any] = {"since": since, "until": until, "shadow": str(shadow).lower(), "page_token": token}
        page = target.http.call("GET", f"{base_of(target, deployment)}/files", PredictionFilePage, query=query)
        yield from page.files
        token = page.next_page_token
        if not token:
            return


def base_of(target: Connection, deployment: str) -> str:
    return f"{target.api}/deployments/{quote(deployment, safe='')}/predictions"


def _content(target: Connection, deployment: str, file: PredictionFileView) -> bytes:
    return target.http.send("GET", f"{base_of(target, deployment)}/files/{file.id}").content


def _chosen(
    content: bytes, since: int, until: int, versions: Sequence[int] | None, columns: Sequence[str] | None
) -> pl.DataFrame:
    import polars as pl  # 0.2 s, which a program that only asks for predictions need not pay

    at = pl.col("at").dt.timestamp("ms")
    frame = pl.scan_parquet(io.BytesIO(content)).filter(at >= since, at < until)
    if versions is not None:
        frame = frame.filter(pl.col("version").is_in(list(versions)))
    if columns is not None:
        there = frame.collect_schema().names()
        frame = frame.select([name for name in columns if name in there])
    return frame.collect()


def _labels(target: Connection, deployment: str, since: int, until: int) -> pl.DataFrame:
    import polars as pl

    ids: list[str] = []
    rows: list[int] = []
    values: list[float] = []
    moments: list[int] = []
    token = ""
    while True:
        query = {"since": since, "until": until, "page_token": token}
        page = target.http.call("GET", f"{base_of(target, deployment)}/labels", LabelledRows, query=query)
        ids += page.prediction_ids
        rows += page.rows
        values += page.labels
        moments += page.label_at
        token = page.next_page_token
        if not token:
            break
    # A label by prediction has no moment of its own.
    known = pl.Series("label_at", [moment or None for moment in moments], pl.Int64)
    at = known.cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime("us", "UTC"))
    keys = [pl.Series("prediction_id", ids, pl.String), pl.Series("row", rows, pl.Int32)]
    return pl.DataFrame([*keys, pl.Series("label", values, pl.Float64), at])


def _joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """A column that was a number and is hashed by now is text in all of them."""
    import polars as pl

    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.SchemaError as error:
        raise MixedColumn(
            f"a column is of types that do not fit together, since the model or what is kept changed ({str(error)[:120]}); read it in two "
            "parts by since= and until=, or leave it out by columns="
        ) from error


def _nothing() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={"prediction_id": pl.String, "row": pl.Int32, "at": pl.Datetime("us", "UTC")})


def _checked(columns: Sequence[str], found: pl.DataFrame, *, labels: bool, any_file: bool) -> list[str]:
    """The columns that are there. Raises UnknownColumn for one that no file has, unless there is no file at all."""
    unknown = [name for name in columns if name not in found.columns]
    if unknown and any_file:
        hint = "; ask with labels=True for labels" if unknown[0].startswith("label") and not labels else ""
        raise UnknownColumn(f"no prediction has a column {unknown[0][:80]!r}{hint}; leave columns= out to see which there are")
    return [name for name in columns if name in found.columns]
