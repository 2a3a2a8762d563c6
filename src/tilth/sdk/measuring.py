"""What a model's answers are measured against: the truth of each row, as classes or numbers. Arrays in, metrics out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.sdk import scoring
from tilth.sdk.scoring import Build, Floats, Metric, Places
from tilth.wire.evaluations import Task
from tilth.wire.models import ModelDocument


class UnusableTarget(Invalid):
    """The target does not fit the rows or the model."""


@dataclass(frozen=True, slots=True)
class Measured:
    """target: index of the class, or the number itself; scores: shape (rows, outputs), probabilities, labels or numbers."""

    task: Task
    target: NDArray[Any]
    scores: Floats
    labels: int = 0
    """How many classes there are where the scores are labels, 0 where they are not."""

    def metrics(self, chosen: Sequence[str] | None = None, places: Places | None = None) -> dict[str, Metric]:
        target, scores = (self.target, self.scores) if places is None else (self.target[places], self.scores[places])
        found = self._all(target, scores)
        return found if chosen is None else {name: found[name] for name in chosen}

    def builder(self, chosen: Sequence[str], within: Places | None = None) -> Build:
        """For scoring.measured: the metrics over some of the rows at `within`."""

        def build(places: Places | None) -> dict[str, Metric]:
            if within is None:
                return self.metrics(chosen, places)
            return self.metrics(chosen, within if places is None else within[places])

        return build

    def _all(self, target: NDArray[Any], scores: Floats) -> dict[str, Metric]:
        if self.task == "regression":
            return scoring.regression(target, scores[:, 0])
        if self.labels:
            return scoring.labels(target, scores[:, 0].astype(np.int64), self.labels)
        return scoring.classification(target, scores)


def target_of(rows: Any, target: Any) -> tuple[NDArray[Any], Any]:
    """The target per row, and the rows without its column. Raises UnusableTarget."""
    if isinstance(target, str):
        if not hasattr(rows, "columns") or target not in rows.columns:
            raise UnusableTarget(
                f"these rows have no column {target!r}; name the column with the truth, or give one value per row"
            )
        wanted, inputs = rows[target], rows.drop(columns=[target])
    else:
        wanted, inputs = target, rows
    values = np.asarray(wanted)
    if values.ndim != 1 or len(values) != len(inputs):
        raise UnusableTarget(
            f"the target has shape {values.shape}, but there are {len(inputs):,} rows: one value per row is needed"
        )
    if len(values) == 0:
        raise UnusableTarget("there are no rows to evaluate on")
    missing = int(sum(value is None or value != value for value in values.tolist()))
    if missing:
        raise UnusableTarget(f"{missing:,} rows have no target; leave them out, such as data.dropna(subset=[...])")
    return values, inputs


def measured_of(document: ModelDocument, answers: Any, wanted: NDArray[Any]) -> Measured:
    """answers: of the model to the rows, numbers, as one array or by name. wanted: the truth of each row. Raises UnusableTarget."""
    if isinstance(answers, Mapping):
        if any(np.asarray(values).dtype.kind in "OUS" for values in answers.values()):
            raise UnusableTarget("the model answers with text, which no metric here measures; let it answer with numbers")
        answers = np.column_stack(list(answers.values()))
    scores = np.asarray(answers, dtype=np.float64).reshape(len(wanted), -1)
    classes, output = document.classes, document.signature.outputs[0]
    names = classes or (output.categories if output.categories is not None else ())
    if not names:
        if scores.shape[1] != 1:
            raise UnusableTarget(f"the model gives {scores.shape[1]} numbers per row; only models of one output can be evaluated")
        return Measured("regression", _numbers(wanted), scores)
    target = _class_indices(wanted, names)
    if document.method == "predict_proba":
        two = scores.shape[1] == 1
        return Measured("classification", target, np.column_stack([1 - scores, scores]) if two else scores)
    if output.categories is None:
        # The label itself came back as a number: 0 and 1, say.
        scores = _class_indices(np.array([_plain(value) for value in scores[:, 0]], dtype=object), names).astype(np.float64)[
            :, None
        ]
    return Measured("classification", target, scores, labels=max(len(names), 2))


def _numbers(wanted: NDArray[Any]) -> Floats:
    try:
        return wanted.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise UnusableTarget(f"the model predicts numbers, but the target holds {wanted[0]!r}") from error


def _class_indices(wanted: NDArray[Any], names: Sequence[str]) -> NDArray[np.int64]:
    places = {name: place for place, name in enumerate(names)}
    found = np.empty(len(wanted), dtype=np.int64)
    for at, value in enumerate(wanted.tolist()):
        place = places.get(str(value), places.get(_plain(value)))
        if place is None:
            raise UnusableTarget(f"the target holds {value!r}, which is no class of the model; it knows: {', '.join(names[:10])}")
        found[at] = place
    return found


def _plain(value: Any) -> str:
    """1.0 and True as scikit-learn's class 1 is written."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)
