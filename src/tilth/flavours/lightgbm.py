"""LightGBM: `Booster` and the classes of its scikit-learn API. Saved in LightGBM's own text form, which holds no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tilth.flavours import boosters, frames, tabular
from tilth.flavours.estimators import innermost
from tilth.flavours.optional import imported
from tilth.flavours.port import CannotExplain, EngineUnusable
from tilth.wire.models import Link, ModelDocument, PredictMethod
from tilth.wire.signature import Signature, Unseen

MODEL_PATH = "model.lgb"
PACKAGE = "lightgbm"
_LINKS: dict[str, Link] = {
    "binary": "logistic",
    "multiclass": "softmax",
    "poisson": "log",
    "gamma": "log",
    "tweedie": "log",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "quantile": "identity",
}


class LightgbmFlavour(boosters.Booster):
    """Served by LightGBM's booster on plain numbers: categories as the codes that training saw. No scikit-learn, no DataFrame."""

    name = "lightgbm"

    def default_method(self, model: Any) -> PredictMethod:
        return "predict_proba" if len(_classes(innermost(model))) else "predict"

    def signature(
        self,
        model: Any,
        example: Any,
        method: PredictMethod,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        unseen: Mapping[str, Unseen] | None = None,
    ) -> Signature:
        model = innermost(model)
        booster = booster_of(model)
        # Without a DataFrame LightGBM makes names up.
        names = booster.feature_name() if frames.is_frame(example) else None
        tabular.check_columns(example, names, booster.num_feature())
        return boosters.signature_of(
            example,
            _asking(booster),
            method,
            _classes(model),
            vocabularies=boosters.check_categories(example, booster.pandas_categorical or ()),
            categories=categories,
            unseen=unseen,
        )

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        model = innermost(model)
        booster = booster_of(model)
        booster.save_model(folder / MODEL_PATH)
        versions = tabular.versions_of("lightgbm", "numpy", "pandas")
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=tuple(str(label) for label in _classes(model)),
            frameworks=versions,
        )
        ask = getattr(model, method if booster is not model else "predict")
        expected = tabular.second_of_two(np.asarray(ask(example)))
        if booster is model and method == "predict" and document.classes:
            expected = tabular.chosen(expected, np.arange(len(document.classes)))
        content = {"model_class": "lightgbm.basic.Booster", "lgb_version": versions["lightgbm"]}
        return self.described(folder, document, example, content, expected)

    def load(self, folder: Path, document: ModelDocument) -> tabular.TableRun:
        lightgbm = imported("lightgbm", PACKAGE)
        try:
            booster = lightgbm.Booster(model_file=folder / document.model_path)
        except lightgbm.basic.LightGBMError as error:
            raise EngineUnusable(f"LightGBM cannot read {document.model_path}: {error}") from error
        return _LightgbmRun(booster, document)


class _LightgbmRun(tabular.TableRun):
    """Runs for each prediction."""

    def __init__(self, booster: Any, document: ModelDocument) -> None:
        ask = boosters.deciding(_asking(booster), document)
        super().__init__("lightgbm", ask, labels=tabular.labels_of(document.signature.outputs))
        self._booster, self._inputs = booster, len(document.signature.inputs)

    def explainer(self) -> boosters.NativeReasons:
        booster = self._booster
        link = _LINKS.get(_objective(booster).split(" ")[0])
        if link is None:
            raise CannotExplain(f"contributions under the objective {_objective(booster)} are not known to add up to the answer")
        return boosters.NativeReasons(lambda rows: booster.predict(rows, pred_contrib=True, num_threads=1), link, self._inputs)


def booster_of(model: Any) -> Any:
    return model.booster_ if hasattr(model, "booster_") else model


def _asking(booster: Any) -> tabular.Ask:
    """One thread: many rows wait side by side. The booster itself stops at the best iteration."""
    return lambda rows: booster.predict(rows, num_threads=1)


def _classes(model: Any) -> Sequence[Any]:
    """Empty for regressions. A bare booster of a probability numbers them."""
    if booster_of(model) is not model:
        return tabular.classes_of(model, "predict")
    objective = _objective(model)
    match objective.split(" ")[0]:
        case "binary":
            return range(2)
        case "multiclass" | "multiclassova":
            return range(int(next(part for part in objective.split(" ") if part.startswith("num_class:")).partition(":")[2]))
        case _:
            return ()


def _objective(booster: Any) -> str:
    """As the model's file has it, with its parameters: `binary sigmoid:1`."""
    lines = booster.model_to_string(num_iteration=1).splitlines()
    return next((line.removeprefix("objective=") for line in lines if line.startswith("objective=")), "")
