"""Two versions side by side: what is on one side only, what is equal, what changed and by how much. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tilth.core.metric_direction import lower_is_better
from tilth.domains.models.rules.card import RunFacts, column_in_words
from tilth.domains.models.rules.gates import LATENCIES, Measure, measured_in
from tilth.wire.evaluations import Changed, EvaluationDifference, EvaluationView, MetricDifference, VersionDifference
from tilth.wire.models import ModelDocument
from tilth.wire.registry import CardField, ModelFileView, VersionView
from tilth.wire.signature import Column


@dataclass(frozen=True, slots=True)
class Side:
    """One version with what there is to compare. evaluations: newest first; params: of the logged model, over those of the run."""

    version: VersionView
    run: RunFacts | None
    params: Mapping[str, str]
    document: ModelDocument | None
    files: Sequence[ModelFileView]
    card: Sequence[CardField]
    evaluations: Sequence[EvaluationView]


def difference(a: Side, b: Side) -> VersionDifference:
    return VersionDifference(
        a=a.version,
        b=b.version,
        evaluations=_evaluations(a.evaluations, b.evaluations),
        metrics=changes(_metrics(a), _metrics(b)),
        params=changes(_params(a), _params(b)),
        data=changes(_data(a), _data(b)),
        inputs=changes(_columns(a, "inputs"), _columns(b, "inputs")),
        outputs=changes(_columns(a, "outputs"), _columns(b, "outputs")),
        card=changes(*({each.title: each.text for each in side.card if not each.missing} for side in (a, b))),
        environment=changes(_environment(a), _environment(b)),
        files=changes(*({file.path: f"{file.size:,} bytes, {file.digest[:12]}" for file in side.files} for side in (a, b))),
        facts=changes(_facts(a), _facts(b)),
    )


def changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[Changed]:
    """Every name of either side, in the order of b, then what only a has."""
    names = [*b, *(name for name in a if name not in b)]
    return [Changed(name, a.get(name), b.get(name), a.get(name) == b.get(name)) for name in names]


def _evaluations(a: Sequence[EvaluationView], b: Sequence[EvaluationView]) -> list[EvaluationDifference]:
    """One per name that both sides have: the newest of b, beside that of a over the same rows, else the newest of a."""
    found = []
    for name in dict.fromkeys(each.name for each in b):
        theirs = [each for each in a if each.name == name]
        if not theirs:
            continue
        newest = next(each for each in b if each.name == name)
        other = next((each for each in theirs if each.rows_digest == newest.rows_digest), theirs[0])
        found.append(_pair(other, newest))
    return found


def _pair(a: EvaluationView, b: EvaluationView) -> EvaluationDifference:
    same = a.rows_digest == b.rows_digest
    latencies = [name for name in LATENCIES if getattr(a, name) is not None or getattr(b, name) is not None]
    names = list(dict.fromkeys([*b.metrics, *a.metrics, *latencies]))
    return EvaluationDifference(
        b.name, a.dataset, b.dataset, a.rows, b.rows, same, [_metric_pair(name, a, b, same) for name in names]
    )


def _metric_pair(metric: str, a: EvaluationView, b: EvaluationView, same: bool) -> MetricDifference:
    left, right = measured_in(a, Measure(metric)), measured_in(b, Measure(metric))
    if left is None or right is None:
        return MetricDifference(metric, left, right, None, None, None, "")
    low, high = _interval(metric, a, b) if same else (None, None)
    by = right.value - left.value
    better: Literal["a", "b", ""] = ""
    # Where an interval is known it decides: a difference that chance can make is none.
    if same and by != 0 and metric not in LATENCIES and (low is None or high is None or low > 0 or high < 0):
        better = "b" if (by < 0) == lower_is_better(metric) else "a"
    return MetricDifference(metric, left, right, by, low, high, better)


def _interval(metric: str, a: EvaluationView, b: EvaluationView) -> tuple[float | None, float | None]:
    for newer, older, sign in ((b, a, 1.0), (a, b, -1.0)):
        for each in newer.differences:
            if each.evaluation_id == older.id and each.metric == metric and each.low is not None and each.high is not None:
                return (each.low, each.high) if sign > 0 else (-each.high, -each.low)
    return None, None


def _metrics(side: Side) -> dict[str, str]:
    return {key: f"{value:.6g}" for key, value in sorted(side.run.metrics.items())} if side.run else {}


def _params(side: Side) -> dict[str, str]:
    return dict(sorted({**(side.run.params if side.run else {}), **side.params}.items()))


def _data(side: Side) -> dict[str, str]:
    return {each.name: f"sha256 {each.digest[:16]}" for each in side.run.data} if side.run else {}


def _columns(side: Side, which: Literal["inputs", "outputs"]) -> dict[str, str]:
    columns: Sequence[Column] = getattr(side.document.signature, which) if side.document else ()
    return {column.name: column_in_words(column) for column in columns}


def _environment(side: Side) -> dict[str, str]:
    return {
        **(side.run.environment if side.run else {}),
        **(side.run.code if side.run else {}),
        **(side.document.frameworks if side.document else {}),
    }


def _facts(side: Side) -> dict[str, str]:
    version = side.version
    known = {
        "Framework": version.flavour,
        "Engine": version.engine,
        "Size": f"{version.size:,} bytes" if version.size else "",
        "Source run": side.run.name if side.run else "",
        "Registered by": version.creator,
        "Description": version.description,
        "Aliases": ", ".join(version.aliases),
        "Tags": ", ".join(f"{key}={value}" for key, value in sorted(version.tags.items())),
        "Sealed by": version.manifest_digest or "",
    }
    return {name: value for name, value in known.items() if value}
