"""What labels are joined to, drawn from the same frames: one score for each answered row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tilth.plane.shipping.versions import KnownVersion
from tilth.wire.labels import ScoredRows, key_of
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import ShippedScores
from tilth.wire.signature import Signature

Values = Mapping[str, list[Any]]
AT_ONCE = 5000
"""Rows in one message, so that no transaction of the control process is long and none is too large for it to read."""


class Scores:
    """Rows of one deployment that wait to be sent."""

    def __init__(self, deployment_id: str) -> None:
        self._deployment_id = deployment_id
        self._rows = _empty()

    def __len__(self) -> int:
        return len(self._rows.rows)

    def add(self, frame: PredictionFrame, known: KnownVersion, inputs: Values, outputs: Values) -> None:
        facts, rows, count = known.facts, self._rows, frame.rows
        rows.prediction_ids.extend([frame.prediction_id] * count)
        rows.rows.extend(range(count))
        rows.at.extend([frame.moment] * count)
        rows.models.extend([facts.model] * count)
        rows.versions.extend([facts.version] * count)
        rows.scores.extend(scores_of(outputs, known.signature, count))
        unit = key_of([frame.route_key or frame.request_id or frame.prediction_id]) or ""
        rows.units.extend([unit] * count)
        rows.join_keys.extend(_join_keys(frame, facts.policy.label_key, inputs))

    def take(self) -> Iterator[ShippedScores]:
        """All of them, in messages of at most AT_ONCE rows: one request may have had millions. None are left."""
        taken, self._rows = self._rows, _empty()
        for start in range(0, len(taken.rows), AT_ONCE):
            part = {name: values[start : start + AT_ONCE] for name, values in msgspec.structs.asdict(taken).items()}
            yield ShippedScores(self._deployment_id, ScoredRows(**part))


def scores_of(outputs: Values, signature: Signature | None, count: int) -> list[float | None]:
    """The value of the only output, or the index of the greatest of several; None where it is no finite number."""
    if signature is None or signature.output_tensors or not outputs:
        return [None] * count
    columns = [outputs[column.name] for column in signature.outputs if column.name in outputs]
    if len(columns) == 1:
        names = signature.outputs[0].categories or ()
        return [_number(value, names) for value in columns[0]]
    if not columns:
        return [None] * count
    return [_greatest(values) for values in zip(*columns, strict=True)]


def _number(value: Any, names: tuple[str, ...]) -> float | None:
    if isinstance(value, str):
        return float(names.index(value)) if value in names else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _greatest(values: tuple[Any, ...]) -> float | None:
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None
    return float(max(range(len(values)), key=values.__getitem__))


def _join_keys(frame: PredictionFrame, names: tuple[str, ...], inputs: Values) -> list[str | None]:
    if not names:
        return [None] * frame.rows
    of_request: dict[str, Any] = {"route_key": frame.route_key or None, "request_id": frame.request_id or None}
    columns = []
    for name in names:
        if name in inputs:
            columns.append(inputs[name])
        elif name in of_request:
            columns.append([of_request[name]] * frame.rows)
        else:
            return [None] * frame.rows
    return [key_of(values) for values in zip(*columns, strict=True)]


def _empty() -> ScoredRows:
    return ScoredRows([], [], [], [], [], [], [], [])
