"""From frames to columns of a file: rows wait in lists by column, and become one Parquet file when they are many enough."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from tilth.core.clock import DAY, Millis, iso
from tilth.plane.shipping.keeping import redacted, weight_of
from tilth.plane.shipping.layout import BASE, Layout
from tilth.plane.shipping.versions import KnownVersion
from tilth.wire.labels import key_of
from tilth.wire.prediction_tables import INPUT, OUTPUT
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import ShippedFile

Values = Mapping[str, list[Any]]
GROUP_ROWS = 16_384
"""Rows that are read at once at least: each group of them tells its first and last moment and id, by which readers leave it out."""
_OF_REQUEST = [name for name in BASE if name != "row"]
"""Columns that are the same in every row of a request, in the order of the notes that `add` makes."""


class Rows:
    """Rows of one deployment, UTC day and layout that wait to become a file. `cells` tells how much memory they are about."""

    def __init__(self, deployment_id: str, day: str, layout: Layout, *, shadow: bool) -> None:
        self.deployment_id = deployment_id
        self.day = day
        self.shadow = shadow
        self._layout = layout
        # What all rows of a request share is noted once, and spread out over them when the file is written.
        self._requests: list[tuple[Any, ...]] = []
        self._counts: list[int] = []
        self._inputs: list[tuple[str, list[Any]]] = [(name, []) for name in layout.inputs]
        self._outputs: list[tuple[str, list[Any]]] = [(name, []) for name in layout.outputs]
        self._versions: set[str] = set()
        self._first, self._last = 1 << 53, 0
        self._least, self._greatest = "g", ""
        self.rows = 0

    @property
    def cells(self) -> int:
        return self.rows * len(self._layout.schema)

    def add(self, frame: PredictionFrame, known: KnownVersion, inputs: Values, outputs: Values) -> None:
        """inputs, outputs: none where they could not be read; a column that is missing is null."""
        facts, count = known.facts, frame.rows
        self._requests.append(
            (
                frame.prediction_id,
                frame.moment * 1000,  # microseconds
                facts.deployment,
                facts.model,
                facts.version,
                frame.shadow,
                (key_of([frame.route_key]) or "") if frame.route_key else "",
                _request_id(frame, known) if facts.policy.redact else frame.request_id,
                frame.protocol,
                frame.latency_us or None,
                weight_of(facts.policy),
            )
        )
        self._counts.append(count)
        for columns, values in ((self._inputs, inputs), (self._outputs, outputs)):
            for name, kept in columns:
                column = values.get(name)
                kept += [None] * count if column is None else redacted(name, column, facts.policy)
        self.rows += count
        self._versions.add(frame.version)
        self._first, self._last = min(self._first, frame.moment), max(self._last, frame.moment)
        self._least, self._greatest = min(self._least, frame.prediction_id), max(self._greatest, frame.prediction_id)

    def parquet(self) -> bytes:
        schema = self._layout.schema
        shared = pl.DataFrame(self._requests, schema={name: schema[name] for name in _OF_REQUEST}, orient="row")
        request = np.repeat(np.arange(len(self._counts)), self._counts)
        first = np.repeat(np.cumsum(self._counts) - self._counts, self._counts)
        # Not strict: a NaN in a whole number is a null, as it was in the request.
        values = [
            pl.Series(prefix + name, kept, schema[prefix + name], strict=False)
            for prefix, columns in ((INPUT, self._inputs), (OUTPUT, self._outputs))
            for name, kept in columns
        ]
        row = pl.Series("row", np.arange(self.rows) - first, pl.Int32)
        return written(shared.select(pl.all().gather(request)).with_columns(row, *values).select(list(schema)))

    def announced(self, digest: str, size: int) -> ShippedFile:
        return ShippedFile(
            deployment_id=self.deployment_id,
            day=self.day,
            digest=digest,
            size=size,
            rows=self.rows,
            first=self._first,
            last=self._last,
            min_id=self._least,
            max_id=self._greatest,
            columns=self._layout.digest,
            versions=tuple(sorted(self._versions)),
            shadow=self.shadow,
        )


def written(frame: pl.DataFrame) -> bytes:
    """A Parquet file, oldest row first."""
    out = io.BytesIO()
    ordered = frame.sort("at", "prediction_id", "version", "row")
    ordered.write_parquet(out, compression="zstd", statistics=True, row_group_size=GROUP_ROWS)
    return out.getvalue()


def day_of(moment: int) -> str:
    """The UTC day, `2026-11-21`."""
    return _day(moment // DAY)


@lru_cache(64)
def _day(number: int) -> str:
    return iso(Millis(number * DAY))[:10]


def _request_id(frame: PredictionFrame, known: KnownVersion) -> str:
    match known.facts.policy.redact.get("request_id"):
        case "drop":
            return ""
        case "hash":
            return str(redacted("request_id", [frame.request_id], known.facts.policy)[0]) if frame.request_id else ""
        case _:
            return frame.request_id
