"""scikit-learn: every fitted estimator or pipeline with `predict`. scikit-learn and pandas are imported late, in the functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tilth.flavours import frames, pickling, tabular
from tilth.flavours.mlflow_folder import Section, write_companions
from tilth.flavours.optional import is_of
from tilth.flavours.port import Predictor, Rows, UnusableExample
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Column, Signature, Unseen

MODEL_PATH = "model.pkl"

FAR = 1e30
"""Values below are finite also as 32-bit floats, which some models turn them into."""


class SklearnFlavour:
    """Saved as cloudpickle, which MLflow loads, too: its default format, skops, refuses some of scikit-learn's own models."""

    name = "sklearn"

    def knows(self, model: object) -> bool:
        return is_of(model, "sklearn") and hasattr(model, "predict")

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
        tabular.check_columns(example, getattr(model, "feature_names_in_", None), getattr(model, "n_features_in_", None))
        if not hasattr(model, method):
            raise UnusableExample(f"{type(model).__name__} has no {method}; pass method='predict', or fit it first.")
        classes = tabular.classes_of(model, method)

        def run_of(draft: Signature, kinds: Sequence[frames.Kind]) -> tabular.TableRun:
            return _run(model, draft, kinds, _container(model, example, kinds), method)

        def outputs_of(answer: Any) -> tuple[Column, ...]:
            return tabular.probabilities_of(classes) if method == "predict_proba" else tabular.predictions_of(answer, classes)

        return tabular.signature_of(example, run_of, outputs_of, categories=categories, unseen=unseen)

    def encode(self, example: Any, signature: Signature) -> Rows:
        return frames.encode(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        kinds = frames.kinds_of(example)
        container = _container(model, example, kinds)
        classes = tabular.classes_of(model, method)
        versions = tabular.versions_of("scikit-learn", "numpy", "scipy", "cloudpickle", "pandas")
        (folder / MODEL_PATH).write_bytes(pickling.dumped(model))
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=tuple(str(label) for label in classes),
            frameworks=versions,
            detail={"container": container, "kinds": list(kinds)},
        )
        content = {
            "pickled_model": MODEL_PATH,
            "serialization_format": "cloudpickle",
            "sklearn_version": versions["scikit-learn"],
        }
        shown = example if container == "dataframe" else np.asarray(example)
        write_companions(folder, document, shown, Section("sklearn", content), predict_fn=method)
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor:
        model = pickling.loaded(folder / document.model_path)
        return _run(model, document.signature, document.detail["kinds"], document.detail["container"], document.method)


def _run(
    model: Any, signature: Signature, kinds: Sequence[frames.Kind], container: frames.Container, method: PredictMethod
) -> tabular.TableRun:
    build = frames.FrameBuilder(signature, kinds).build if container == "dataframe" else None
    ask: tabular.Ask = getattr(model, method)
    if method == "predict_proba":
        ask = _probabilities(ask)
    if build is None:
        ask = _trusting(ask)
    return tabular.TableRun("sklearn", ask, build, tabular.labels_of(signature.outputs))


def _probabilities(ask: tabular.Ask) -> tabular.Ask:
    return lambda table: tabular.second_of_two(np.asarray(ask(table)))


def _trusting(ask: tabular.Ask) -> tabular.Ask:
    """Each step of a pipeline looks for NaN and infinity again, which takes a tenth of the time for one row. Rows without any are asked
    without; where something not finite comes out all the same, scikit-learn is asked as ever, and says what it has to say."""
    import sklearn

    def asked(table: Any) -> Any:
        if len(table) and np.abs(table).max() < FAR:
            with sklearn.config_context(assume_finite=True), np.errstate(all="ignore"):
                answer = np.asarray(ask(table))
            if answer.dtype.kind != "f" or np.isfinite(answer).all():
                return answer
        return ask(table)

    return asked


def _container(model: Any, example: Any, kinds: Sequence[frames.Kind]) -> frames.Container:
    """A model that was fitted on an array warns when it gets names; one that holds text can only take a DataFrame."""
    if not frames.is_frame(example):
        return "array"
    unnamed = hasattr(model, "n_features_in_") and not hasattr(model, "feature_names_in_")
    return "array" if unnamed and set(kinds) <= {"float", "int", "bool"} else "dataframe"
