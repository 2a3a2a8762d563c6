"""Kept predictions as our own API shows them. Moments in ms since the epoch, latencies in ms."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tilth.wire.shipping import Redaction

INPUT, OUTPUT = "in_", "out_"
"""What the names of columns begin with in a file of predictions, before those of the signature."""


class PredictionRow(msgspec.Struct, frozen=True):
    """One row of one answered request. inputs: as the request had them, or their hashes. route_key_hash: empty without a route key.

    sample_weight: how many predictions it stands for where only a sample is kept. latency_ms None: not known. label: what came true, as it
    was given; None while it is not known.
    """

    prediction_id: str
    row: int
    at: int
    model: str
    version: int
    shadow: bool
    request_id: str
    route_key_hash: str
    protocol: str
    latency_ms: float | None
    sample_weight: float
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    label: str | None = None

    @property
    def row_id(self) -> str:
        """What a label names it by."""
        return f"{self.prediction_id}.{self.row}"


class PredictionPage(msgspec.Struct, frozen=True):
    """Newest file first, and within a file newest first. next_page_token empty: no more."""

    predictions: list[PredictionRow]
    next_page_token: str


class PredictionDetail(msgspec.Struct, frozen=True):
    """rows: of the answer that was given; shadows: what versions in the shadow said to the same request."""

    prediction_id: str
    deployment: str
    rows: list[PredictionRow]
    shadows: list[PredictionRow]


class PredictionFileView(msgspec.Struct, frozen=True):
    """One Parquet file of one UTC day. versions: keys (`model/3`) of those in it. columns: equal where files have equal columns."""

    id: str
    day: str
    rows: int
    bytes: int
    digest: str
    first: int
    last: int
    versions: list[str]
    columns: str
    shadow: bool


class PredictionFilePage(msgspec.Struct, frozen=True):
    """Newest first."""

    files: list[PredictionFileView]
    next_page_token: str


class LabelledRows(msgspec.Struct, frozen=True):
    """Rows of predictions that have a label, as columns of equal length, oldest first. next_page_token empty: no more."""

    prediction_ids: list[str]
    rows: list[int]
    labels: list[float]
    label_at: list[int]
    next_page_token: str


class PredictionPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """What of a deployment's predictions is kept from now on; what is left out stays as it is. redact: the whole table of fields."""

    keep_days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    redact: Annotated[dict[str, Redaction], Meta(max_length=200)] | None = None
    sample: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    note: str = ""


class Flushed(msgspec.Struct, frozen=True):
    """Every prediction that was answered before `until` is in the files now."""

    until: int
