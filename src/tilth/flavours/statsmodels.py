"""statsmodels: fitted results with `predict`, by formula or by arrays. Kept as pickle, as statsmodels itself does, without the data."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tilth.flavours import frames, pickling, tabular
from tilth.flavours.mlflow_folder import Section, write_companions
from tilth.flavours.optional import imported, is_of
from tilth.flavours.port import Rows, UnusableExample
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Column, Signature, Unseen

MODEL_PATH = "model.statsmodels"
PACKAGE = "statsmodels"
_TWO_CLASSES = frozenset({"Logit", "Probit"})


class StatsmodelsFlavour:
    """Linear models, generalised linear models and their kin. A probability of two classes counts as one (`predict_proba`)."""

    name = "statsmodels"

    def knows(self, model: object) -> bool:
        return is_of(model, "statsmodels") and hasattr(model, "predict")

    def default_method(self, model: Any) -> PredictMethod:
        return "predict_proba" if _classes(model) else "predict"

    def signature(
        self,
        model: Any,
        example: Any,
        method: PredictMethod,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        unseen: Mapping[str, Unseen] | None = None,
    ) -> Signature:
        _check(model, example)
        needed = _needed(model, example)

        def run_of(draft: Signature, kinds: Sequence[frames.Kind]) -> tabular.TableRun:
            return _run(model, draft, kinds, method)

        def outputs_of(answer: Any) -> tuple[Column, ...]:
            name = "probability" if method == "predict_proba" else "prediction"
            return (Column(name=name, type="double"),) if answer.ndim == 1 else tabular.predictions_of(answer, ())

        return tabular.signature_of(needed, run_of, outputs_of, categories=categories, unseen=unseen)

    def encode(self, example: Any, signature: Signature) -> Rows:
        return frames.encode(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        needed = _needed(model, example)
        kinds = frames.kinds_of(needed)
        (folder / MODEL_PATH).write_bytes(_without_data(model, needed))
        versions = tabular.versions_of("statsmodels", "patsy", "formulaic", "numpy", "scipy", "pandas", "cloudpickle")
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=_classes(model),
            frameworks=versions,
            detail={"kinds": list(kinds)},
        )
        content = {"data": MODEL_PATH, "statsmodels_version": versions["statsmodels"]}
        write_companions(folder, document, needed, Section("statsmodels", content))
        expected = _asking(model, method)(needed)
        tabular.check_same(expected, self.load(folder, document), self.encode(needed, signature), "model")
        return document

    def load(self, folder: Path, document: ModelDocument) -> tabular.TableRun:
        imported("statsmodels", PACKAGE)
        model = pickling.loaded(folder / document.model_path)
        return _run(model, document.signature, document.detail["kinds"], document.method)


def _run(model: Any, signature: Signature, kinds: Sequence[frames.Kind], method: PredictMethod) -> tabular.TableRun:
    build = frames.FrameBuilder(signature, kinds).build if _formula(model) else None
    return tabular.TableRun("statsmodels", _asking(model, method), build)


def _asking(model: Any, method: PredictMethod) -> tabular.Ask:
    decides = method == "predict" and bool(_classes(model))

    def ask(table: Any) -> Any:
        answer = np.asarray(model.predict(table))
        return (answer > 0.5).astype(np.int64) if decides else answer

    return ask


def _formula(model: Any) -> bool:
    return getattr(model.model, "formula", None) is not None


def _classes(model: Any) -> tuple[str, ...]:
    model = getattr(model, "model", model)
    kind = type(model).__name__
    family = type(getattr(model, "family", None)).__name__
    return ("0", "1") if kind in _TWO_CLASSES or (kind in ("GLM", "GLMGam") and family == "Binomial") else ()


def _check(model: Any, example: Any) -> None:
    if not hasattr(model, "params"):
        raise UnusableExample(f"{type(model).__name__} is not fitted: log what its fit() returns.")
    if hasattr(model, "forecast"):
        raise UnusableExample("a model of a time series has no rows to predict; log a function around its forecast instead.")
    if not _formula(model):
        names = model.model.exog_names
        tabular.check_columns(example, names if frames.is_frame(example) else None, len(names))
    elif not frames.is_frame(example):
        raise UnusableExample("the model was fitted by a formula: give the example as a DataFrame with the columns it names.")


def _needed(model: Any, example: Any) -> Any:
    """The example without columns that the formula does not read, such as what is predicted."""
    if not _formula(model):
        return example
    wanted = [name for name in example.columns if not _answers(model, example[:1].drop(columns=[name]))]
    return example[wanted]


def _answers(model: Any, frame: Any) -> bool:
    try:
        model.predict(frame)
    except Exception:  # noqa: BLE001 patsy and formulaic have errors of their own for a name that they miss
        return False
    return True


def _without_data(model: Any, example: Any) -> bytes:
    """The training data goes out of a copy, where the copy still answers without it."""
    whole = pickling.dumped(model)
    try:
        bare = pickle.loads(whole)  # our own bytes of a moment ago
        bare.remove_data()
        data = pickling.dumped(bare)
        same = np.array_equal(np.asarray(pickle.loads(data).predict(example)), np.asarray(model.predict(example)), equal_nan=True)
    except Exception:  # noqa: BLE001 some results cannot part with their data, each in a way of its own
        return whole
    return data if same else whole
