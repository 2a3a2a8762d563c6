"""Evaluating a model from a program: predicted here, measured here, recorded at the server with the scores behind the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.core.clock import monotonic
from tilth.core.errors import Invalid, NotFound
from tilth.core.hashing import canonical_json, content_address
from tilth.sdk import scoring
from tilth.sdk.connection import Connection, connection
from tilth.sdk.current import current_run
from tilth.sdk.datasets import describe
from tilth.sdk.measuring import Measured, measured_of, target_of
from tilth.sdk.models import LoadedModel, load_model, version_of
from tilth.sdk.references import ModelReference, parse_reference
from tilth.sdk.scoring import CLASSIFICATION, REGRESSION, Floats
from tilth.wire.evaluations import (
    EvaluationPage,
    EvaluationView,
    MetricValue,
    PairedDifference,
    RecordedEvaluation,
    RecordEvaluation,
    SliceResult,
    Verdict,
)

MIN_SLICE_ROWS = 30
MAX_SLICE_VALUES = 50
MAX_KEPT_ROWS = 200_000
"""Above it the scores per row are not kept, and no paired interval can be computed later."""
MAX_COMPARED = 4
LATENCY_ROWS = 200
WARM_UP_ROWS = 5


class UnusableSlices(Invalid):
    """A column cannot cut the rows into slices."""


class UnknownMetrics(Invalid):
    """A metric was asked for that this kind of model has not."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured and recorded. metrics: value by name; gates: what the gates of the model say now."""

    id: str
    record: EvaluationView
    gates: list[Verdict] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float]:
        return {name: measured.value for name, measured in self.record.metrics.items()}

    def __str__(self) -> str:
        named = f"{self.record.model}/{self.record.version}" if self.record.model else str(self.record.logged_model_id)
        lines = [f"{named} on {self.record.dataset}, {self.record.rows:,} rows"]
        lines += [f"  {name:<12} {_shown(measured)}" for name, measured in self.record.metrics.items()]
        lines += [f"  gate {gate.outcome}: {gate.expression} ({gate.reason})" for gate in self.gates]
        return "\n".join(lines)


def evaluate(
    model: str,
    data: Any,
    target: Any,
    *,
    metrics: Sequence[str] | None = None,
    slices: Sequence[str] = (),
    name: str = "validation",
    dataset: str | None = None,
    min_slice_rows: int = MIN_SLICE_ROWS,
) -> Evaluation:
    """Measures a registered or logged model on rows it has not seen, and records it.

    data: a DataFrame (or array) with the columns of training; more columns do no harm. target: the name of a column of it, or one
    value per row. metrics: some of the usual ones, by default all that fit the model. slices: columns whose every value (at most 50)
    is measured alone where it has `min_slice_rows` rows. name: which evaluation this is; gates are bound to it. dataset: what the rows
    are called. Intervals are those of 1,000 bootstrap resamples with a fixed seed. Where another version was evaluated under that name on
    the same rows, the difference is recorded with an interval of its own.
    Raises UnusableTarget, UnusableSlices, UnknownMetrics, NothingToLoad, and what the server refuses.
    """
    reached = connection()
    reference = _pinned(reached, parse_reference(model))
    loaded = load_model(_text(reference))
    rows = _as_frame(data)
    wanted, inputs = target_of(rows, target)
    measured = _predicted(loaded, inputs, wanted)
    count = len(measured.target)
    chosen = _checked_metrics(measured, metrics)
    described = describe(dataset or name, rows, None, "evaluation")
    rows_digest = content_address(canonical_json([described.digest, describe("target", wanted, None, "").digest, count]))
    sliced, left_out = _slices(rows, slices, measured, chosen, min_slice_rows)
    p50, p99 = _latency(loaded, inputs)
    packed = np.ascontiguousarray(np.column_stack([measured.target, measured.scores]), dtype="<f8").tobytes()
    kept = count <= MAX_KEPT_ROWS
    run = current_run()
    record = RecordEvaluation(
        name=name,
        dataset=described.name,
        dataset_digest=described.digest,
        rows_digest=rows_digest,
        rows=count,
        task=measured.task,
        metrics=scoring.measured(measured.builder(chosen), count),
        slices=sliced,
        left_out=left_out,
        latency_p50_ms=p50,
        latency_p99_ms=p99,
        differences=_differences(reached, reference, name, rows_digest, measured, chosen) if kept else [],
        run_id=run.id if run is not None else None,
        scores_digest=content_address(packed) if kept else None,
    )
    return _recorded(reached, reference, record, packed if kept else None)


def _recorded(reached: Connection, reference: ModelReference, record: RecordEvaluation, scores: bytes | None) -> Evaluation:
    done = reached.http.call(
        "POST", f"{_place(reached, reference)}/evaluations", RecordedEvaluation, body=record, retry_for_s=0.0
    )
    if scores is not None:
        headers = {"content-type": "application/octet-stream"}
        reached.http.send("PUT", f"{reached.api}/evaluations/{done.evaluation.id}/scores", scores, headers=headers)
    return Evaluation(done.evaluation.id, done.evaluation, done.verdicts)


def _pinned(reached: Connection, reference: ModelReference) -> ModelReference:
    """An alias may move while we measure: the version that it names now is meant."""
    if reference.logged_model_id is not None:
        return reference
    return ModelReference(reference.model, version=version_of(reached, reference).version)


def _text(reference: ModelReference) -> str:
    return reference.logged_model_id or f"{reference.model}/{reference.version}"


def _place(reached: Connection, reference: ModelReference) -> str:
    if reference.logged_model_id is not None:
        return f"{reached.api}/logged-models/{reference.logged_model_id}"
    return f"{reached.api}/models/{quote(reference.model, safe='')}/versions/{reference.version}"


def _as_frame(data: Any) -> Any:
    """pandas as it is, other frames as pandas, arrays as arrays."""
    return data.to_pandas() if hasattr(data, "to_pandas") else data


def _predicted(loaded: LoadedModel, inputs: Any, wanted: NDArray[Any]) -> Measured:
    return measured_of(loaded.document, loaded.predict(inputs), wanted)


def _checked_metrics(measured: Measured, metrics: Sequence[str] | None) -> list[str]:
    usual = REGRESSION if measured.task == "regression" else CLASSIFICATION
    known = [name for name in usual if name in measured.metrics()]
    if metrics is None:
        return known
    if strange := [name for name in metrics if name not in known]:
        raise UnknownMetrics(f"no metric {strange[0]!r} for this {measured.task} model; there are: {', '.join(known)}")
    return list(dict.fromkeys(metrics))


def _slices(
    rows: Any, columns: Sequence[str], measured: Measured, chosen: Sequence[str], least: int
) -> tuple[list[SliceResult], list[str]]:
    found: list[SliceResult] = []
    left_out: list[str] = []
    for column in columns:
        if not hasattr(rows, "columns") or column not in rows.columns:
            raise UnusableSlices(f"these rows have no column {column!r} to slice by")
        texts = np.array([str(value) for value in rows[column].astype(object)], dtype=object)
        values = sorted(set(texts.tolist()))
        if len(values) > MAX_SLICE_VALUES:
            raise UnusableSlices(
                f"column {column!r} has {len(values):,} values; slices are for at most {MAX_SLICE_VALUES}: "
                "add a column of ranges, as pandas.cut makes it"
            )
        for value in values:
            places = np.flatnonzero(texts == value)
            count = len(places)
            if count < max(least, 1):
                left_out.append(f"{column}={value}: {count} rows")
                continue
            found.append(SliceResult(column, value[:500], count, scoring.measured(measured.builder(chosen, places), count)))
    return [each for each in found if each.metrics], left_out[:500]


def _latency(loaded: LoadedModel, inputs: Any) -> tuple[float, float]:
    """p50 and p99 in ms of predicting one row, over up to 200 rows spread over the data."""
    places = np.linspace(0, len(inputs) - 1, min(LATENCY_ROWS, len(inputs))).astype(int)
    single = [inputs.iloc[[at]] if hasattr(inputs, "iloc") else np.asarray(inputs)[[at]] for at in places]
    for row in single[:WARM_UP_ROWS]:
        loaded.predict(row)
    taken = []
    for row in single:
        start = monotonic()
        loaded.predict(row)
        taken.append((monotonic() - start) * 1e3)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))


def _differences(
    reached: Connection, reference: ModelReference, name: str, rows_digest: str, measured: Measured, chosen: Sequence[str]
) -> list[PairedDifference]:
    """Against the newest evaluation of up to four other versions of the model on the same rows: those with an alias first."""
    if reference.logged_model_id is not None:
        return []
    base = f"{reached.api}/models/{quote(reference.model, safe='')}"
    page = reached.http.call(
        "GET", f"{base}/evaluations", EvaluationPage, query={"evaluation": name, "rows_digest": rows_digest, "limit": 100}
    )
    newest: dict[int, EvaluationView] = {}
    for each in page.evaluations:
        if each.version is not None and each.version != reference.version and each.scores_size is not None:
            newest.setdefault(each.version, each)
    if not newest:
        return []
    aliased = set(reached.http.call("GET", base, _Aliases).model.aliases.values())
    order = sorted(newest, key=lambda version: (version not in aliased, -version))[:MAX_COMPARED]
    return [each for version in order for each in _difference(reached, newest[version], measured, chosen)]


def _difference(reached: Connection, other: EvaluationView, measured: Measured, chosen: Sequence[str]) -> list[PairedDifference]:
    theirs = _scores_of(reached, other, len(measured.target))
    if theirs is None or theirs.shape[1] != measured.scores.shape[1] or other.task != measured.task:
        return []
    rivals = Measured(measured.task, measured.target, theirs, measured.labels)
    found = scoring.paired(measured.builder(chosen), rivals.builder(chosen), len(measured.target))
    return [PairedDifference(other.id, metric, each.value, each.low, each.high) for metric, each in found.items()]


def _scores_of(reached: Connection, other: EvaluationView, rows: int) -> Floats | None:
    try:
        content = reached.http.send("GET", f"{reached.api}/evaluations/{other.id}/scores").content
    except NotFound:
        return None
    if content_address(content) != other.scores_digest or len(content) % (8 * rows):
        return None
    return np.frombuffer(content, dtype="<f8").reshape(rows, -1)[:, 1:]


class _ModelAliases(msgspec.Struct):
    aliases: dict[str, int]


class _Aliases(msgspec.Struct):
    """The part of a model's answer that is needed here."""

    model: _ModelAliases


def _shown(measured: MetricValue) -> str:
    interval = f"  ({measured.low:.4g} to {measured.high:.4g})" if measured.low is not None and measured.high is not None else ""
    return f"{measured.value:.4f}{interval}"
