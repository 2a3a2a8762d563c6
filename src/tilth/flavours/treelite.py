"""Tree ensembles without their framework: treelite's general tree inference, some 30 us for a row. treelite is imported late.

Exact where the framework is exact, with three differences that are mended here: forests, classic gradient boosting and XGBoost compare in
float32 (so rows are rounded first), LightGBM takes what is nearly zero for zero, and treelite does not know scikit-learn's rule that
an unknown category is a missing value.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours import treelite_boosters
from tilth.flavours.estimators import innermost
from tilth.flavours.port import CannotCompile, Compiled, EngineUnusable, Outputs, Predictor, Rows
from tilth.flavours.tree_reasons import TreeReasons
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Signature

FILE = "compiled/treelite.bin"

_HISTOGRAM = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
_FOREST = frozenset(
    {
        "RandomForestClassifier",
        "RandomForestRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
    }
)


class TreeliteCompiler:
    engine = "treelite"

    def compile(self, model: Any, signature: Signature, method: PredictMethod, folder: Path) -> Compiled:
        model = innermost(model)
        kind = type(model).__name__
        booster = treelite_boosters.knows(model)
        if kind not in _HISTOGRAM | _FOREST and not booster:
            raise CannotCompile(f"{kind} is no tree ensemble that treelite reads")
        if hasattr(model, "classes_") and method != "predict_proba":
            raise CannotCompile("a classifier compiles for predict_proba only")
        known = _known_categories(model, signature) if kind in _HISTOGRAM else {}
        if booster:
            ensemble = treelite_boosters.imported_booster(model)
            landmarks = treelite_boosters.landmarks_of(ensemble)
        else:
            ensemble = _imported(_with_encoder_of(model, known) if known else model)
            landmarks = _histogram_landmarks(model) if kind in _HISTOGRAM else _forest_landmarks(model)
        path = folder / FILE
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(ensemble.serialize_bytes())
        partial = {str(at): categories for at, categories in known.items() if not _whole(signature, at, categories)}
        float32 = kind in _FOREST or treelite_boosters.compares_in_float32(model)
        nearly_zero = treelite_boosters.NEARLY_ZERO if treelite_boosters.drops_nearly_zero(model) else 0.0
        detail = {"float32": float32, "nearly_zero": nearly_zero, "known": partial, "trees": ensemble.num_tree}
        return Compiled(FILE, detail, landmarks)

    def load(self, path: Path, detail: Mapping[str, Any], outputs: int) -> Predictor:
        ensemble, predict = _read(path)
        return _TreelitePredictor(
            ensemble, predict, bool(detail["float32"]), float(detail["nearly_zero"]), _known(detail), outputs
        )


def tree_reasons(path: Path, detail: Mapping[str, Any], outputs: int) -> TreeReasons:
    """What explains the answers of the same file. Raises EngineUnusable and CannotExplain."""
    ensemble, _ = _read(path)
    return TreeReasons(ensemble, outputs, float32=bool(detail["float32"]), known=_known(detail))


def _read(path: Path) -> tuple[Any, Any]:
    """The ensemble and what predicts with it. Raises EngineUnusable."""
    try:
        import treelite
    except ImportError as error:
        raise EngineUnusable(f"treelite cannot be imported ({error}); install the extra `sklearn`") from error
    try:
        return treelite.Model.deserialize_bytes(path.read_bytes()), treelite.gtil.predict
    except (OSError, treelite.TreeliteError) as error:
        raise EngineUnusable(f"treelite cannot read {path.name}: {error}") from error


def _known(detail: Mapping[str, Any]) -> dict[int, NDArray[np.float64]]:
    return {int(at): np.array(categories, dtype=np.float64) for at, categories in detail["known"].items()}


class _TreelitePredictor:
    """Runs for each prediction: one call into C++, which keeps no state between calls, and one thread, for many rows wait side by side."""

    engine = "treelite"

    def __init__(
        self,
        ensemble: Any,
        predict: Any,
        float32: bool,
        nearly_zero: float,
        known: Mapping[int, NDArray[np.float64]],
        outputs: int,
    ) -> None:
        self._ensemble = ensemble
        self._predict = predict
        self._float32 = float32
        self._nearly_zero = nearly_zero
        self._known = known
        self._outputs = outputs

    def predict(self, rows: Rows) -> Outputs:
        if self._float32:
            rows = rows.astype(np.float32).astype(np.float64)
        if self._nearly_zero:
            rows = np.where(np.abs(rows) <= self._nearly_zero, 0.0, rows)
        if self._known:
            rows = rows.copy()
            for at, categories in self._known.items():
                rows[~np.isin(rows[:, at], categories), at] = np.nan
        answer: Outputs = self._predict(self._ensemble, rows, nthread=1).reshape(len(rows), -1)
        if self._outputs == 1:
            # Forests give both classes, boosting only the second.
            return answer[:, -1]
        return answer


def _imported(model: Any) -> Any:
    try:
        import treelite.sklearn

        return treelite.sklearn.import_model(model)
    except Exception as error:
        raise CannotCompile(f"treelite cannot read this {type(model).__name__}: {type(error).__name__}: {error}") from error


def _known_categories(model: Any, signature: Signature) -> dict[int, list[int]]:
    """Input -> what stands in an encoded row for each category of the model's own encoder, in the encoder's order.

    Encoded rows hold the index in the signature's vocabulary; the encoder sorts the values that training saw. A categorical column
    of plain numbers has no vocabulary: there the number itself stands in the row.
    """
    if getattr(model, "_preprocessor", None) is None:
        return {}
    found = {}
    encoder = model._preprocessor.named_transformers_["encoder"]
    for at, seen in zip(np.flatnonzero(model.is_categorical_), encoder.categories_, strict=True):
        column = signature.inputs[at]
        values = [value for value in seen if value is not None and value == value]
        if column.categories is not None:
            index = {category: position for position, category in enumerate(column.categories)}
            missing = [value for value in values if _text(value) not in index]
            if missing:
                raise CannotCompile(f"training saw {missing[0]!r} in {column.name!r}, which is not in the column's categories")
            found[int(at)] = [index[_text(value)] for value in values]
        elif all(float(value) >= 0 and float(value).is_integer() for value in values):
            found[int(at)] = [int(value) for value in values]
        else:
            raise CannotCompile(f"the categories of {column.name!r} are not whole numbers from 0 up")
    return found


def _text(value: Any) -> str:
    """A category as the vocabulary writes it. Whole numbers come as floats from a column that has missing values."""
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _whole(signature: Signature, at: int, categories: list[int]) -> bool:
    vocabulary = signature.inputs[at].categories
    return vocabulary is not None and len(categories) == len(vocabulary)


def _with_encoder_of(model: Any, known: Mapping[int, list[int]]) -> Any:
    """A copy for the importer, in which the encoder's categories are the numbers that encoded rows hold.

    The importer then maps them, and the order of columns (scikit-learn puts categorical ones first), once and for all.
    """
    transformers = model._preprocessor.transformers_
    encoder = SimpleNamespace(categories_=[np.array(known[at], dtype=np.int64) for at in sorted(known)])
    stand_in = copy.copy(model)
    stand_in._preprocessor = SimpleNamespace(transformers_=[("encoder", encoder, transformers[0][2]), *transformers[1:]])
    return stand_in


def _histogram_landmarks(model: Any) -> dict[int, NDArray[np.float64]]:
    """Bin borders of each numeric input. The bin mapper has the categorical columns first."""
    thresholds = model._bin_mapper.bin_thresholds_
    categorical = np.zeros(len(thresholds), dtype=bool) if model.is_categorical_ is None else model.is_categorical_
    order = [*np.flatnonzero(categorical), *np.flatnonzero(~categorical)]
    return {
        int(at): np.asarray(borders, dtype=np.float64)
        for at, borders in zip(order, thresholds, strict=True)
        if not categorical[at] and len(borders)
    }


def _forest_landmarks(model: Any) -> dict[int, NDArray[np.float64]]:
    trees = [tree.tree_ for tree in np.asarray(model.estimators_, dtype=object).ravel()]
    inputs = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    return {int(at): np.unique(thresholds[inputs == at]) for at in np.unique(inputs[inputs >= 0])}
