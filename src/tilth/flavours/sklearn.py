"""scikit-learn: every fitted estimator or pipeline with `predict`. scikit-learn and pandas are imported late, in the functions."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tilth.flavours import frames
from tilth.flavours.mlflow_folder import write_companions
from tilth.flavours.port import EngineUnusable, Outputs, Predictor, Rows, UnusableExample
from tilth.wire.models import DOCUMENT_NAME, ModelDocument, PredictMethod
from tilth.wire.signature import Column, Signature, Unseen

MODEL_PATH = "model.pkl"


class SklearnFlavour:
    """Saved as cloudpickle, which MLflow loads, too: its default format, skops, refuses some of scikit-learn's own models."""

    name = "sklearn"

    def knows(self, model: object) -> bool:
        return any(kind.__module__.partition(".")[0] == "sklearn" for kind in type(model).__mro__) and hasattr(model, "predict")

    def default_method(self, model: Any) -> PredictMethod:
        return "predict_proba" if hasattr(model, "predict_proba") and hasattr(model, "classes_") else "predict"

    def signature(
        self,
        model: Any,
        example: Any,
        method: PredictMethod,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        unseen: Mapping[str, Unseen] | None = None,
    ) -> Signature:
        _check_fits(model, example)
        if not hasattr(model, method):
            raise UnusableExample(f"{type(model).__name__} has no {method}; pass method='predict', or fit it first.")
        kinds = frames.kinds_of(example)
        columns = frames.columns_of(example, kinds, categories=categories or {}, unseen=unseen or {})
        draft = Signature(inputs=tuple(columns), outputs=())
        run = _Run(model, draft, kinds, _container(model, example, kinds), method, ())
        rows = frames.encode(example[:1], draft)
        inputs = tuple(_with_nullable(run, columns, rows, _may_be_missing(example, kinds)))
        for column in inputs:
            if column.unseen == "missing" and not column.nullable:
                raise UnusableExample(
                    f"unseen={{{column.name!r}: 'missing'}} needs a model that takes missing values in {column.name!r}; this one does not."
                )
        return Signature(inputs=inputs, outputs=_outputs(model, method, run.raw(rows)))

    def encode(self, example: Any, signature: Signature) -> Rows:
        return frames.encode(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        import cloudpickle

        kinds = frames.kinds_of(example)
        container = _container(model, example, kinds)
        classes = _classes(model)
        versions = _versions("scikit-learn", "numpy", "scipy", "cloudpickle", "pandas")
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=tuple(str(label) for label in classes),
            frameworks=versions,
            detail={"container": container, "kinds": list(kinds)},
        )
        (folder / MODEL_PATH).write_bytes(cloudpickle.dumps(model))
        write_companions(
            folder,
            model_path=MODEL_PATH,
            loader_module="mlflow.sklearn",
            flavour="sklearn",
            flavour_detail={
                "pickled_model": MODEL_PATH,
                "serialization_format": "cloudpickle",
                "sklearn_version": versions["scikit-learn"],
                "code": None,
            },
            requirements=[f"{name}=={version}" for name, version in versions.items()],
            signature=signature,
            several_classes=len(classes) if method == "predict_proba" else 0,
            method=method,
            example=example,
            by_name=container == "dataframe",
        )
        (folder / DOCUMENT_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(document)))
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor:
        try:
            import cloudpickle

            with (folder / document.model_path).open("rb") as stream:
                model = cloudpickle.load(stream)
        except ImportError as error:
            raise EngineUnusable(
                f"the model needs {error.name or error}, which is not installed here; install the extra `sklearn` and what "
                "requirements.txt in the model's folder names"
            ) from error
        detail = document.detail
        return _Run(
            model, document.signature, detail["kinds"], detail["container"], document.method, _labels(document.signature.outputs)
        )


class _Run:
    """A model with what it needs to answer encoded rows."""

    engine = "sklearn"

    def __init__(
        self,
        model: Any,
        signature: Signature,
        kinds: Sequence[frames.Kind],
        container: frames.Container,
        method: PredictMethod,
        labels: Sequence[str],
    ) -> None:
        self._builder = frames.FrameBuilder(signature, kinds) if container == "dataframe" else None
        self._answer = getattr(model, method)
        self._binary = method == "predict_proba" and len(model.classes_) == 2
        self._labels = {label: float(at) for at, label in enumerate(labels)}

    def raw(self, rows: Rows) -> Any:
        """What the framework itself answers."""
        return np.asarray(self._answer(self._builder.build(rows) if self._builder else rows))

    def predict(self, rows: Rows) -> Outputs:
        answer = self.raw(rows)
        if self._labels:
            return np.array([self._labels[str(label)] for label in answer])
        if self._binary:
            answer = answer[:, 1]
        elif answer.ndim == 2 and answer.shape[1] == 1:
            answer = answer[:, 0]
        return np.ascontiguousarray(answer, dtype=np.float64)


def _check_fits(model: Any, example: Any) -> None:
    """Raises UnusableExample where example and fitted model name different columns."""
    fitted = getattr(model, "feature_names_in_", None)
    count = getattr(model, "n_features_in_", None)
    if fitted is not None and not frames.is_frame(example):
        raise UnusableExample(
            f"the model was fitted on a DataFrame with the columns {', '.join(fitted)}; give the example as a DataFrame, too."
        )
    width = len(example.columns) if frames.is_frame(example) else frames.as_matrix(example).shape[1]
    if count is not None and width != count:
        raise UnusableExample(f"the model was fitted on {count} columns, the example has {width}.")
    if fitted is not None and list(example.columns) != list(fitted):
        raise UnusableExample(
            f"the example's columns are {', '.join(map(str, example.columns))}; the model was fitted on {', '.join(fitted)}, in this order."
        )


def _container(model: Any, example: Any, kinds: Sequence[frames.Kind]) -> frames.Container:
    """A model that was fitted on an array warns when it gets names; one that holds text can only take a DataFrame."""
    if not frames.is_frame(example):
        return "array"
    unnamed = hasattr(model, "n_features_in_") and not hasattr(model, "feature_names_in_")
    return "array" if unnamed and set(kinds) <= {"float", "int", "bool"} else "dataframe"


def _may_be_missing(example: Any, kinds: Sequence[frames.Kind]) -> list[bool]:
    """Columns whose type has a value for "missing": floats, text, categories, and pandas' own nullable numbers."""
    if not frames.is_frame(example):
        return [True] * len(kinds)
    extension = [not isinstance(dtype, np.dtype) for dtype in example.dtypes]
    return [kind not in ("int", "bool") or nullable for kind, nullable in zip(kinds, extension, strict=True)]


def _with_nullable(run: _Run, columns: Sequence[Column], rows: Rows, candidates: Sequence[bool]) -> list[Column]:
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


def _answers(run: _Run, rows: Rows) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = run.raw(rows)
        except (ValueError, TypeError):
            return False
    return answer.dtype.kind != "f" or bool(np.isfinite(answer).all())


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _classes(model: Any) -> Sequence[Any]:
    classes: Sequence[Any] = getattr(model, "classes_", ())
    if len(classes) and isinstance(classes[0], np.ndarray | list):
        raise UnusableExample("a classifier with several targets cannot be served; log one model for each target.")
    return classes


def _outputs(model: Any, method: PredictMethod, answer: Any) -> tuple[Column, ...]:
    classes = _classes(model)
    if method == "predict_proba":
        if len(classes) == 2:
            return (Column(name="probability", type="double"),)
        return tuple(Column(name=str(label), type="double") for label in classes)
    if answer.ndim == 2 and answer.shape[1] > 1:
        return tuple(Column(name=f"prediction_{at}", type="double") for at in range(answer.shape[1]))
    if answer.dtype.kind in "OUT":
        return (Column(name="prediction", type="string", categories=tuple(str(label) for label in classes)),)
    return (Column(name="prediction", type="double" if answer.dtype.kind == "f" else "long"),)


def _labels(outputs: Sequence[Column]) -> Sequence[str]:
    """Names of the classes where the output is one of them: the answer is then the index, as for inputs."""
    return next((output.categories for output in outputs if output.categories), ())
