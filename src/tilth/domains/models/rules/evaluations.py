"""What a record of an evaluation may hold. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from tilth.core.hashing import is_digest
from tilth.core.names import check_key, check_name
from tilth.domains.models.types import InvalidEvaluation
from tilth.wire.evaluations import MetricValue, RecordEvaluation

MAX_METRICS = 100
MAX_SLICES = 500
MAX_DIFFERENCES = 200
MAX_LEFT_OUT = 500
MAX_VALUE_CHARS = 500
MAX_SCORE_BYTES = 64_000_000


def check_evaluation(record: RecordEvaluation) -> RecordEvaluation:
    """Raises InvalidName, InvalidEvaluation."""
    check_name(record.name, "evaluation")
    check_name(record.dataset, "data set")
    for digest, what in ((record.dataset_digest, "dataset_digest"), (record.rows_digest, "rows_digest")):
        _require(is_digest(digest), f"{what} is not a SHA-256 of 64 lower-case hexadecimal digits")
    _require(record.scores_digest is None or is_digest(record.scores_digest), "scores_digest is not a SHA-256")
    _require(0 < record.rows < 1 << 53, f"rows is {record.rows}; an evaluation is over at least one row")
    _require(bool(record.metrics), "metrics is empty; an evaluation says at least one figure")
    _require(len(record.slices) <= MAX_SLICES, f"{len(record.slices)} slices; at most {MAX_SLICES} are kept")
    _require(len(record.differences) <= MAX_DIFFERENCES, f"{len(record.differences)} differences; at most {MAX_DIFFERENCES}")
    _require(len(record.left_out) <= MAX_LEFT_OUT, f"{len(record.left_out)} slices left out; at most {MAX_LEFT_OUT} are named")
    _check_metrics(record.metrics, record.name)
    for each in record.slices:
        _require(
            0 < each.rows <= record.rows, f"slice {each.column[:80]}={each.value[:80]} has {each.rows} of {record.rows} rows"
        )
        _check_metrics(each.metrics, f"slice {each.column[:80]}={each.value[:80]}")
    _check_texts((text for each in record.slices for text in (each.column, each.value)), "a slice")
    _check_texts(record.left_out, "left_out")
    seen = {(each.column, each.value) for each in record.slices}
    _require(len(seen) == len(record.slices), "two slices have the same column and value")
    for latency in (record.latency_p50_ms, record.latency_p99_ms):
        _require(latency is None or (math.isfinite(latency) and latency >= 0), "a latency is no number of milliseconds")
    for difference in record.differences:
        check_key(difference.metric, "metric")
        _require(math.isfinite(difference.difference), f"the difference of {difference.metric!r} is no finite number")
    return record


def _check_metrics(metrics: Mapping[str, MetricValue], where: str) -> None:
    _require(len(metrics) <= MAX_METRICS, f"{where} has {len(metrics)} metrics; at most {MAX_METRICS} are kept")
    for key, metric in metrics.items():
        check_key(key, "metric")
        _require(math.isfinite(metric.value), f"{where}: {key!r} is no finite number; leave out what cannot be computed")
        for bound in (metric.low, metric.high):
            _require(bound is None or math.isfinite(bound), f"{where}: an interval bound of {key!r} is no finite number")


def _check_texts(texts: Iterable[str], where: str) -> None:
    for text in texts:
        _require(len(text) <= MAX_VALUE_CHARS and "\0" not in text, f"{where} names a text above {MAX_VALUE_CHARS} characters")


def _require(holds: bool, wrong: str) -> None:
    if not holds:
        raise InvalidEvaluation(f"this evaluation cannot be recorded: {wrong}")
