"""What the adapters of table models share: the signature from an example, the model that is asked, the document beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.flavours import frames
from tilth.flavours.port import Outputs, Rows, UnusableExample
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Column, Signature, Unseen

Ask = Callable[[Any], Any]
"""Takes what the framework takes (a DataFrame, a matrix), gives its answer: (rows,) or (rows, outputs)."""

Build = Callable[[Rows], Any]
"""From encoded rows to what the framework takes."""


class NotFaithful(UnusableExample):
    """What was saved answers otherwise than the model in memory. Raised by: save."""


class TableRun:
    """A model with what it needs to answer encoded rows. Thread-safe if `ask` is.

    build: None where the model takes encoded rows as they are. labels: names of the classes where the answer is one of them; the
    prediction is then their index.
    """

    def __init__(self, engine: str, ask: Ask, build: Build | None = None, labels: Sequence[str] = ()) -> None:
        self.engine = engine
        self._ask = ask
        self._build = build
        self._labels = {label: float(at) for at, label in enumerate(labels)}

    def raw(self, rows: Rows) -> NDArray[Any]:
        """What the framework itself answers."""
        answer = np.asarray(self._ask(self._build(rows) if self._build else rows))
        return answer[:, 0] if answer.ndim == 2 and answer.shape[1] == 1 else answer

    def predict(self, rows: Rows) -> Outputs:
        answer = self.raw(rows)
        if self._labels:
            return np.array([self._labels[str(label)] for label in answer])
        return np.ascontiguousarray(answer, dtype=np.float64)


def signature_of(
    example: Any,
    run_of: Callable[[Signature, Sequence[frames.Kind]], TableRun],
    outputs_of: Callable[[NDArray[Any]], tuple[Column, ...]],
    *,
    categories: Mapping[str, Sequence[str]] | None,
    unseen: Mapping[str, Unseen] | None,
) -> Signature:
    """Columns from the example; what may be missing and what comes out from asking the model. Raises UnusableExample.

    run_of: the model over a draft of the signature. outputs_of: columns of the model's answer to one row.
    """
    kinds = frames.kinds_of(example)
    columns = frames.columns_of(example, kinds, categories=categories or {}, unseen=unseen or {})
    draft = Signature(inputs=tuple(columns))
    run = run_of(draft, kinds)
    rows = frames.encode(example[:1], draft)
    inputs = tuple(_with_nullable(run, columns, rows, _may_be_missing(example, kinds)))
    for column in inputs:
        if column.unseen == "missing" and not column.nullable:
            raise UnusableExample(
                f"unseen={{{column.name!r}: 'missing'}} needs a model that takes missing values in {column.name!r}; this one does not."
            )
    return Signature(inputs=inputs, outputs=outputs_of(run.raw(rows)))


def check_columns(example: Any, names: Sequence[str] | None, count: int | None) -> None:
    """names, count: what the model was fitted on, as far as it knows. Raises UnusableExample where the example has other columns."""
    if names is not None and not frames.is_frame(example):
        raise UnusableExample(
            f"the model was fitted on a DataFrame with the columns {', '.join(names)}; give the example as a DataFrame, too."
        )
    width = len(example.columns) if frames.is_frame(example) else frames.as_matrix(example).shape[1]
    if count is not None and width != count:
        raise UnusableExample(f"the model was fitted on {count} columns, the example has {width}.")
    if names is not None and list(example.columns) != list(names):
        raise UnusableExample(
            f"the example's columns are {', '.join(map(str, example.columns))}; the model was fitted on {', '.join(names)}, in this order."
        )


def probabilities_of(classes: Sequence[Any]) -> tuple[Column, ...]:
    """Output columns of predict_proba."""
    if len(classes) == 2:
        return (Column(name="probability", type="double"),)
    return tuple(Column(name=str(label), type="double") for label in classes)


def predictions_of(answer: NDArray[Any], classes: Sequence[Any]) -> tuple[Column, ...]:
    """Output columns of predict. classes: of a classifier, else empty."""
    if answer.ndim == 2 and answer.shape[1] > 1:
        return tuple(Column(name=f"prediction_{at}", type="double") for at in range(answer.shape[1]))
    if answer.dtype.kind in "OUT":
        return (Column(name="prediction", type="string", categories=tuple(str(label) for label in classes)),)
    return (Column(name="prediction", type="double" if answer.dtype.kind == "f" else "long"),)


def labels_of(outputs: Sequence[Column]) -> Sequence[str]:
    """Names of the classes where the output is one of them: the answer is then the index, as for inputs."""
    return next((output.categories for output in outputs if output.categories), ())


def chosen(answer: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """The class of each row, from probabilities of shape (rows,) for two classes or (rows, classes)."""
    index = (answer > 0.5).astype(np.intp) if answer.ndim == 1 else answer.argmax(axis=1)
    return np.asarray(classes[index])


def second_of_two(answer: NDArray[Any]) -> NDArray[Any]:
    """Two probabilities that add up to one say no more than the second."""
    return answer[:, 1] if answer.ndim == 2 and answer.shape[1] == 2 else answer


def check_same(expected: Any, saved: TableRun, rows: Rows, what: str) -> None:
    """expected: the answer of the model in memory to `rows`. Raises NotFaithful."""
    expected = np.asarray(expected)
    answer = saved.raw(rows)
    if expected.ndim == 2 and expected.shape[1] == 1:
        expected = expected[:, 0]
    same = answer.shape == expected.shape and (
        np.allclose(expected, answer, rtol=1e-6, atol=1e-9, equal_nan=True)
        if expected.dtype.kind in "fiub"
        else bool((expected.astype(str) == answer.astype(str)).all())
    )
    if not same:
        raise NotFaithful(
            f"the saved {what} answers otherwise than the model in memory, over the rows of the example. Give the example with the "
            "columns and types that the model was fitted on; a model with its own Python code is kept by logging a function around it."
        )


def versions_of(*packages: str) -> dict[str, str]:
    """Versions of those that are installed."""
    return {name: version for name in packages if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def classes_of(model: Any, method: PredictMethod) -> Sequence[Any]:
    """Empty for regressions. Raises UnusableExample."""
    classes: Sequence[Any] | None = getattr(model, "classes_", None)
    if classes is None or not len(classes):
        if method == "predict_proba":
            raise UnusableExample(f"{type(model).__name__} has no classes; pass method='predict', or fit it first.")
        return ()
    if isinstance(classes[0], np.ndarray | list):
        raise UnusableExample("a classifier with several targets cannot be served; log one model for each target.")
    return classes


def _may_be_missing(example: Any, kinds: Sequence[frames.Kind]) -> list[bool]:
    """Columns whose type has a value for "missing": floats, text, categories, and pandas' own nullable numbers."""
    if not frames.is_frame(example):
        return [True] * len(kinds)
    extension = [not isinstance(dtype, np.dtype) for dtype in example.dtypes]
    return [kind not in ("int", "bool") or nullable for kind, nullable in zip(kinds, extension, strict=True)]


def _with_nullable(run: TableRun, columns: Sequence[Column], rows: Rows, candidates: Sequence[bool]) -> list[Column]:
    """Asks the model itself which inputs may be missing: all at once first, one by one where that fails."""
    everything = np.array([candidates])
    if _answers(run, np.where(everything, np.nan, rows)):
        nullable = list(candidates)
    else:
        single = np.eye(len(columns), dtype=bool)
        nullable = [may and _answers(run, np.where(single[[at]], np.nan, rows)) for at, may in enumerate(candidates)]
        together = np.where(np.array([nullable]), np.nan, rows)
        if not _answers(run, together):
            nullable = [False] * len(columns)
    return [msgspec.structs.replace(column, nullable=may) for column, may in zip(columns, nullable, strict=True)]


def _answers(run: TableRun, rows: Rows) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = run.raw(rows)
        except Exception:  # noqa: BLE001 frameworks refuse a missing value in many ways: catboost has errors of its own
            return False
    return answer.dtype.kind != "f" or (len(answer) == len(rows) and bool(np.isfinite(answer).all()))
