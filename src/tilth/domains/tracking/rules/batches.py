"""Whether a batch may be written, and how the points of one metric fold into its latest value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from tilth.core.names import check_key, check_name
from tilth.domains.tracking.types import BatchTooLarge, InvalidBatch, ValueTooLong
from tilth.wire.tracking import (
    MAX_INPUTS,
    MAX_KEY_CHARS,
    MAX_METRICS,
    MAX_PARAM_CHARS,
    MAX_PARAMS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    DatasetInput,
    LogBatch,
    MetricValue,
)

MAX_INT64 = 2**63 - 1
MAX_MOMENT = 253_402_300_799_999
"""The last millisecond of the year 9999: no date lies behind it."""
PREFIX_CHARS = 256
"""Params and tags are indexed by their first characters: a B-tree entry must stay small."""

MAX_DATASET_NAME_CHARS = 500
MAX_DIGEST_CHARS = 128
MAX_SOURCE_CHARS = 65_535
MAX_SCHEMA_CHARS = 1_048_575
MAX_PROFILE_CHARS = 16_777_215


@lru_cache(maxsize=4096)
def checked_key(key: str, what: str) -> str:
    """As check_key; remembered, because the same few keys come thousands of times. Raises InvalidName."""
    return check_key(key, what, MAX_KEY_CHARS)


def check_moment(what: str, at: int | None) -> int | None:
    """A moment of a run: within 1970 to 9999, so that it can be written as a date. Raises InvalidBatch."""
    if at is not None and not 0 <= at <= MAX_MOMENT:
        raise InvalidBatch(f"{what} {str(at)[:24]} is not a moment; give milliseconds since 1970, or leave it out")
    return at


def check_batch(batch: LogBatch) -> None:
    """Raises BatchTooLarge, ValueTooLong, InvalidName, InvalidBatch."""
    _check_count("metrics", len(batch.metrics), MAX_METRICS)
    _check_count("params", len(batch.params), MAX_PARAMS)
    _check_count("tags", len(batch.tags), MAX_TAGS)
    _check_count("data sets", len(batch.inputs), MAX_INPUTS)
    for point in batch.metrics:
        checked_key(point.key, "metric")
        if not -MAX_INT64 <= point.step <= MAX_INT64:
            raise InvalidBatch(f"step {point.step} of metric {point.key!r} does not fit into 64 bits; count steps from 0")
        check_moment("ts", point.ts)
    check_params(batch.params)
    check_tags({key: value for key, value in batch.tags.items() if value is not None})
    for key in batch.tags:
        checked_key(key, "tag")
    check_inputs(batch.inputs)


def check_params(params: Mapping[str, str]) -> None:
    for key, value in params.items():
        checked_key(key, "param")
        _check_text(f"param {key!r}", value, MAX_PARAM_CHARS)


def check_tags(tags: Mapping[str, str], most: int = MAX_TAG_CHARS) -> None:
    for key, value in tags.items():
        checked_key(key, "tag")
        _check_text(f"tag {key!r}", value, most)


def check_inputs(inputs: Iterable[DatasetInput]) -> None:
    for data in inputs:
        check_name(data.name, "data set", MAX_DATASET_NAME_CHARS)
        if not data.digest:
            raise InvalidBatch(f"data set {data.name!r} has no digest; give one that changes with its content")
        _check_text(f"digest of data set {data.name!r}", data.digest, MAX_DIGEST_CHARS)
        _check_text(f"context of data set {data.name!r}", data.context, MAX_KEY_CHARS)
        _check_text(f"source type of data set {data.name!r}", data.source_type, MAX_KEY_CHARS)
        _check_text(f"source of data set {data.name!r}", data.source, MAX_SOURCE_CHARS)
        _check_text(f"schema of data set {data.name!r}", data.schema, MAX_SCHEMA_CHARS)
        _check_text(f"profile of data set {data.name!r}", data.profile, MAX_PROFILE_CHARS)
        _check_count(f"tags of data set {data.name!r}", len(data.tags or ()), MAX_TAGS)
        check_tags(data.tags or {})


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise BatchTooLarge(what, count, most)


def _check_text(what: str, value: str, most: int) -> None:
    if len(value) > most:
        raise ValueTooLong(what, len(value), most)
    if "\0" in value:
        raise InvalidBatch(f"{what} contains the character NUL, which cannot be stored; remove it")


def number_of(value: MetricValue) -> float | None:
    """The float behind a wire value; None for NaN, which is stored as NULL."""
    number = float(value)
    return None if math.isnan(number) else number


def as_number(text: str) -> float | None:
    """The finite number that a param's text reads as, else None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def is_later(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Order of points: step, then time, then value; NaN lies below every number."""
    if new["step"] != old["step"]:
        return bool(new["step"] > old["step"])
    if new["ts"] != old["ts"]:
        return bool(new["ts"] > old["ts"])
    if new["value"] is None or old["value"] is None:
        return old["value"] is None
    return bool(new["value"] >= old["value"])


def fold_latest(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Two rows of `metric_last` for one metric become one: the later value, least and greatest of both, counts added.

    min, max: None where the value itself is it, or every point was NaN. Associative and, but for exact ties, commutative.
    """
    later = new if is_later(new, old) else old
    return {
        **later,
        "min": _least(_stored(old, "min"), _stored(new, "min")),
        "max": _greatest(_stored(old, "max"), _stored(new, "max")),
        "count": old["count"] + new["count"],
    }


def _stored(row: Mapping[str, Any], column: str) -> float | None:
    value: float | None = row["value"] if row[column] is None else row[column]
    return value


def _least(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def _greatest(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)
