"""CatBoost: `CatBoost`, its classifier, regressor and ranker. Saved in CatBoost's own binary form, which holds no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours import boosters, frames, tabular
from tilth.flavours.estimators import innermost
from tilth.flavours.optional import imported
from tilth.flavours.port import CannotExplain, EngineUnusable, Rows
from tilth.wire.models import Link, ModelDocument, PredictMethod
from tilth.wire.signature import Signature, Unseen

MODEL_PATH = "model.cb"
PACKAGE = "catboost"
_KINDS = ("CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "CatBoost")


class CatboostFlavour(boosters.Booster):
    """CatBoost knows categories by their text, so that no codes of training are needed."""

    name = "catboost"

    def default_method(self, model: Any) -> PredictMethod:
        return "predict_proba" if type(innermost(model)).__name__ == "CatBoostClassifier" else "predict"

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
        names = model.feature_names_ if frames.is_frame(example) else None
        tabular.check_columns(example, names, len(model.feature_names_))
        categorical = model.get_cat_feature_indices()
        return boosters.signature_of(
            example,
            _asking(model),
            method,
            _classes(model, method),
            build_of=lambda draft, kinds: _Table(draft, kinds, categorical).build if categorical else None,
            vocabularies={},
            categories=categories,
            unseen=unseen,
        )

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        model = innermost(model)
        model.save_model(str(folder / MODEL_PATH), format="cbm")
        kind = next(name for name in _KINDS if any(base.__name__ == name for base in type(model).__mro__))
        versions = tabular.versions_of("catboost", "numpy", "pandas")
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=tuple(str(label) for label in _classes(model, method)),
            frameworks=versions,
            detail={"kind": kind, "kinds": list(frames.kinds_of(example)), "categorical": model.get_cat_feature_indices()},
        )
        expected = tabular.second_of_two(np.asarray(getattr(model, method)(example)))
        content = {"model_type": kind, "save_format": "cbm", "catboost_version": versions["catboost"]}
        return self.described(folder, document, example, content, expected)

    def load(self, folder: Path, document: ModelDocument) -> tabular.TableRun:
        catboost = imported("catboost", PACKAGE)
        try:
            model = getattr(catboost, document.detail["kind"])().load_model(str(folder / document.model_path))
        except catboost.CatBoostError as error:
            raise EngineUnusable(f"CatBoost cannot read {document.model_path}: {error}") from error
        return _CatboostRun(model, document)


class _CatboostRun(tabular.TableRun):
    """Runs for each prediction."""

    def __init__(self, model: Any, document: ModelDocument) -> None:
        categorical = document.detail["categorical"]
        build = _Table(document.signature, document.detail["kinds"], categorical).build if categorical else None
        ask = boosters.deciding(_asking(model), document)
        super().__init__("catboost", ask, build, tabular.labels_of(document.signature.outputs))
        self._model, self._build_table, self._categorical = model, build, categorical
        self._link, self._inputs = _link(model, document), len(document.signature.inputs)

    def explainer(self) -> boosters.NativeReasons:
        catboost, model, build, categorical = imported("catboost", PACKAGE), self._model, self._build_table, self._categorical
        if self._link is None:
            raise CannotExplain("contributions under this loss function are not known to add up to the answer")

        def answer(rows: Rows) -> Any:
            pool = catboost.Pool(build(rows) if build else rows, cat_features=categorical or None)
            return model.get_feature_importance(pool, type="ShapValues", thread_count=1)

        return boosters.NativeReasons(answer, self._link, self._inputs)


class _Table:
    """CatBoost takes categories as text or whole numbers within a table of objects."""

    def __init__(self, signature: Signature, kinds: Sequence[frames.Kind], categorical: Sequence[int]) -> None:
        self._texts = {
            at: np.array([*column.categories, None], dtype=object)
            for at, column in enumerate(signature.inputs)
            if column.categories is not None
        }
        self._whole = [at for at in categorical if kinds[at] in ("int", "bool")]

    def build(self, rows: Rows) -> NDArray[np.object_]:
        table = rows.astype(object)
        for at, texts in self._texts.items():
            codes = np.where(np.isnan(rows[:, at]), -1, rows[:, at]).astype(np.int64)
            table[:, at] = texts[codes]
        for at in self._whole:
            table[:, at] = [int(value) for value in rows[:, at]]
        return table


def _link(model: Any, document: ModelDocument) -> Link | None:
    if document.method == "predict_proba":
        return "logistic" if len(document.signature.outputs) == 1 else "softmax"
    loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    return "log" if loss in ("Poisson", "Tweedie") else "identity" if loss in ("RMSE", "MAE", "Quantile", "Huber") else None


def _asking(model: Any) -> tabular.Ask:
    if hasattr(model, "predict_proba"):
        return lambda table: tabular.second_of_two(np.asarray(model.predict_proba(table, thread_count=1)))
    return lambda table: model.predict(table, thread_count=1)


def _classes(model: Any, method: PredictMethod) -> Sequence[Any]:
    """CatBoost gives an empty list where there are none."""
    return tabular.classes_of(model, method) if hasattr(model, "predict_proba") else ()
