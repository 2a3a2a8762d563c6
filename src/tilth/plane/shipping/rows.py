"""From frames to columns of a file: rows wait in lists by column, and become one Parquet file when they are many enough."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import polars as pl

from tilth.core.clock import Millis, iso
from tilth.plane.shipping.keeping import redacted, weight_of
from tilth.plane.shipping.layout import INPUT, OUTPUT, Layout
from tilth.plane.shipping.versions import KnownVersion
from tilth.wire.labels import key_of
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import ShippedFile

Values = Mapping[str, list[Any]]


class Rows:
    """Rows of one deployment, UTC day and layout that wait to become a file. `cells` tells how much memory they are about."""

    def __init__(self, deployment_id: str, day: str, layout: Layout, *, shadow: bool) -> None:
        self.deployment_id = deployment_id
        self.day = day
        self.shadow = shadow
        self._layout = layout
        self._columns: dict[str, list[Any]] = {name: [] for name in layout.schema}
        self._versions: set[str] = set()
        self._first, self._last = 1 << 53, 0
        self._least, self._greatest = "g", ""
        self.rows = 0

    @property
    def cells(self) -> int:
        return self.rows * len(self._columns)

    def add(self, frame: PredictionFrame, known: KnownVersion, inputs: Values, outputs: Values) -> None:
        """inputs, outputs: none where they could not be read; a column that is missing is null."""
        count, policy = frame.rows, known.facts.policy
        base = {
            "prediction_id": frame.prediction_id,
            # Microseconds.
            "at": frame.moment * 1000,
            "deployment": known.facts.deployment,
            "model": known.facts.model,
            "version": known.facts.version,
            "shadow": frame.shadow,
            "route_key_hash": (key_of([frame.route_key]) or "") if frame.route_key else "",
            "request_id": _request_id(frame, known),
            "protocol": frame.protocol,
            "latency_us": frame.latency_us or None,
            "sample_weight": weight_of(policy),
        }
        for name, value in base.items():
            self._columns[name] += [value] * count
        self._columns["row"] += range(count)
        for prefix, names, values in ((INPUT, self._layout.inputs, inputs), (OUTPUT, self._layout.outputs, outputs)):
            for name in names:
                column = values.get(name)
                self._columns[prefix + name] += [None] * count if column is None else redacted(name, column, policy)
        self.rows += count
        self._versions.add(frame.version)
        self._first, self._last = min(self._first, frame.moment), max(self._last, frame.moment)
        self._least, self._greatest = min(self._least, frame.prediction_id), max(self._greatest, frame.prediction_id)

    def parquet(self) -> bytes:
        schema = self._layout.schema
        # By column, and not strict: a NaN in a whole number is a null, as it was in the request.
        frame = pl.DataFrame([pl.Series(name, self._columns[name], schema[name], strict=False) for name in schema])
        return written(frame)

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
    """A Parquet file."""
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd", statistics=True)
    return out.getvalue()


def day_of(moment: int) -> str:
    """The UTC day, `2026-11-21`."""
    return iso(Millis(moment))[:10]


def _request_id(frame: PredictionFrame, known: KnownVersion) -> str:
    match known.facts.policy.redact.get("request_id"):
        case "drop":
            return ""
        case "hash":
            return str(redacted("request_id", [frame.request_id], known.facts.policy)[0]) if frame.request_id else ""
        case _:
            return frame.request_id
