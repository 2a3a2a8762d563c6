"""XGBoost: `Booster` and the classes of its scikit-learn API. Saved in XGBoost's own binary JSON, which holds no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tilth.flavours import boosters, frames, tabular
from tilth.flavours.estimators import innermost
from tilth.flavours.optional import imported
from tilth.flavours.port import CannotExplain, EngineUnusable, Rows
from tilth.wire.models import Link, ModelDocument, PredictMethod
from tilth.wire.signature import Signature, Unseen

MODEL_PATH = "model.ubj"
PACKAGE = "xgboost-cpu"
_LINEAR = "gblinear"


class XgboostFlavour(boosters.Booster):
    """Served by XGBoost's booster on plain numbers: categories as the codes that training saw. No scikit-learn, no DataFrame."""

    name = "xgboost"

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
        tabular.check_columns(example, booster.feature_names, booster.num_features())
        return boosters.signature_of(
            example,
            _asking(booster, rounds_of(model)),
            method,
            _classes(model),
            vocabularies=_vocabularies(booster, example),
            categories=categories,
            unseen=unseen,
        )

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        model = innermost(model)
        kind = type(model)
        model.save_model(folder / MODEL_PATH)
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=tuple(str(label) for label in _classes(model)),
            frameworks=tabular.versions_of("xgboost", "xgboost-cpu", "numpy", "scikit-learn", "pandas"),
            detail={"rounds": list(rounds_of(model))},
        )
        # A bare booster takes matrices of its own only.
        bare = kind.__name__ == "Booster"
        expected = None if bare else tabular.second_of_two(np.asarray(getattr(model, method)(example)))
        content = {
            "model_class": f"{kind.__module__}.{kind.__qualname__}",
            "model_format": "ubj",
            "xgb_version": imported("xgboost", PACKAGE).__version__,
        }
        return self.described(folder, document, example, content, expected)

    def load(self, folder: Path, document: ModelDocument) -> tabular.TableRun:
        xgboost = imported("xgboost", PACKAGE)
        try:
            booster = xgboost.Booster(model_file=folder / document.model_path)
        except xgboost.core.XGBoostError as error:
            raise EngineUnusable(f"XGBoost cannot read {document.model_path}: {error}") from error
        return _XgboostRun(booster, tuple(document.detail["rounds"]), document)


class _XgboostRun(tabular.TableRun):
    """Runs for each prediction."""

    def __init__(self, booster: Any, rounds: tuple[int, int], document: ModelDocument) -> None:
        booster.set_param({"nthread": 1})
        ask = boosters.deciding(_asking(booster, rounds), document)
        super().__init__("xgboost", ask, labels=tabular.labels_of(document.signature.outputs))
        self._booster, self._rounds, self._inputs = booster, rounds, len(document.signature.inputs)

    def explainer(self) -> boosters.NativeReasons:
        xgboost, booster, rounds = imported("xgboost", PACKAGE), self._booster, self._rounds

        def answer(rows: Rows) -> Any:
            kinds = booster.feature_types
            coded = kinds is not None and "c" in kinds
            matrix = xgboost.DMatrix(rows, feature_types=kinds if coded else None, enable_categorical=coded, nthread=1)
            return booster.predict(matrix, pred_contribs=True, iteration_range=rounds, validate_features=False)

        return boosters.NativeReasons(answer, _link(booster), self._inputs)


def booster_of(model: Any) -> Any:
    return model.get_booster() if hasattr(model, "get_booster") else model


def rounds_of(model: Any) -> tuple[int, int]:
    """Up to the best iteration where training stopped early, as XGBoost's scikit-learn API does; (0, 0): all."""
    booster = booster_of(model)
    best = booster.attr("best_iteration")
    if booster is model or best is None:
        return (0, 0)
    return (0, int(best) + 1)


def _asking(booster: Any, rounds: tuple[int, int]) -> tabular.Ask:
    """Safe for concurrent calls: `inplace_predict` keeps no state, and the linear booster, which lacks it, makes its own matrix."""
    import xgboost

    if _configuration(booster)["gradient_booster"]["name"] != _LINEAR:
        return lambda rows: booster.inplace_predict(rows, iteration_range=rounds, validate_features=False)
    return lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=1), validate_features=False)


def _classes(model: Any) -> Sequence[Any]:
    """Empty for regressions. A bare booster of a probability numbers them."""
    if booster_of(model) is not model:
        return tabular.classes_of(model, "predict")
    learner = _configuration(model)
    match learner["objective"]["name"]:
        case "binary:logistic":
            return range(2)
        case "multi:softprob":
            return range(int(learner["learner_model_param"]["num_class"]))
        case _:
            return ()


def _link(booster: Any) -> Link:
    """Raises CannotExplain."""
    match _configuration(booster)["objective"]["name"]:
        case "binary:logistic" | "reg:logistic":
            return "logistic"
        case "multi:softprob":
            return "softmax"
        case "count:poisson" | "reg:gamma" | "reg:tweedie":
            return "log"
        case "reg:squarederror" | "reg:absoluteerror" | "reg:pseudohubererror" | "reg:quantileerror":
            return "identity"
        case name:
            raise CannotExplain(f"contributions under the objective {name} are not known to add up to the answer")


def _configuration(booster: Any) -> dict[str, Any]:
    learner: dict[str, Any] = msgspec.json.decode(booster.save_config())["learner"]
    return learner


def _vocabularies(booster: Any, example: Any) -> dict[str, list[str]]:
    """Of the columns of type category, as training saw them: the booster keeps them since XGBoost 3.1."""
    document = msgspec.json.decode(bytes(booster.save_raw("json")))
    stored = document["learner"]["gradient_booster"].get("model", {}).get("cats", {}).get("enc", ())
    if not frames.is_frame(example) or not stored:
        return {}
    found = {}
    for name, entry in zip(example.columns, stored, strict=True):
        if not entry["values"]:
            continue
        if "offsets" in entry:
            text, ends = bytes(value & 0xFF for value in entry["values"]), entry["offsets"]
            found[name] = [text[start:end].decode() for start, end in pairwise(ends)]
        else:
            found[name] = [str(value) for value in entry["values"]]
    return found
