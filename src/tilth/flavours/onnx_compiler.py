"""scikit-learn in ONNX Runtime, where skl2onnx knows the model: pipelines, neural nets, support vectors and the like.

Double precision is asked for first: in single precision a probability of 0.9999999988 came back as 1. What ONNX Runtime has in single
precision only is tried in that. The parity gate decides. skl2onnx is needed where a model is saved, onnxruntime where it is served.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.estimators import innermost, steps_of
from tilth.flavours.onnx_sessions import OnnxSession
from tilth.flavours.optional import imported, is_of
from tilth.flavours.port import CannotCompile, Compiled, EngineUnusable, Outputs, Predictor, Rows
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Signature

FILE = "compiled/model.onnx"
MATRIX = "rows"
_SLOWER = frozenset({"KNeighborsClassifier", "KNeighborsRegressor", "RadiusNeighborsClassifier", "RadiusNeighborsRegressor"})
"""Measured: 2,000 neighbours take 3.0 ms for a row in ONNX Runtime, which looks at each of them, and 0.4 ms in scikit-learn's trees."""

MISSING = "nan"
"""The text that stands for a missing category. The gate tries it, where the model takes missing ones."""


class OnnxCompiler:
    engine = "onnxruntime"

    def compile(self, model: Any, signature: Signature, method: PredictMethod, folder: Path) -> Compiled:
        model = innermost(model)
        if not is_of(model, "sklearn"):
            raise CannotCompile(f"{type(model).__name__} is no model of scikit-learn")
        if _last_kind(model) in _SLOWER:
            raise CannotCompile("neighbours answer more slowly in ONNX Runtime than in scikit-learn")
        if any(output.categories for output in signature.outputs):
            raise CannotCompile("predictions that are texts are not compiled")
        by_name = _takes_columns(model)
        if not by_name and any(column.categories is not None for column in signature.inputs):
            raise CannotCompile("a model over categories compiles as a ColumnTransformer only")
        path = folder / FILE
        path.parent.mkdir(exist_ok=True)
        _convert(model, signature, by_name, path)
        vocabularies = [list(c.categories) if c.categories is not None else None for c in signature.inputs]
        detail = {"output": 1 if method == "predict_proba" else 0, "columns": vocabularies if by_name else None}
        return Compiled(FILE, detail, _landmarks(model))

    def load(self, path: Path, detail: Mapping[str, Any], outputs: int) -> Predictor:
        session = OnnxSession(path)
        if detail["output"] >= len(session.outputs):
            raise EngineUnusable(f"{path.name} has {len(session.outputs)} outputs, the model's document speaks of another")
        return _OnnxPredictor(session, session.outputs[detail["output"]], detail["columns"], outputs)


class _OnnxPredictor:
    """Runs for each prediction: one call into C++, on one thread."""

    engine = "onnxruntime"

    def __init__(self, session: OnnxSession, output: str, vocabularies: list[list[str] | None] | None, outputs: int) -> None:
        self._session, self._output, self._outputs = session, output, outputs
        self._type = next(iter(session.inputs.values()))
        # One entry more than there are categories: index -1, missing, finds it.
        self._columns = None
        if vocabularies is not None:
            texts = [None if known is None else np.array([*known, MISSING], dtype=object) for known in vocabularies]
            self._columns = list(zip(session.inputs.items(), texts, strict=True))

    def predict(self, rows: Rows) -> Outputs:
        answer = self._session.run_only(self._output, self._fed(rows))[self._output]
        if answer.ndim == 2 and self._outputs == 1:
            answer = answer[:, -1]
        return np.ascontiguousarray(answer, dtype=np.float64)

    def _fed(self, rows: Rows) -> dict[str, NDArray[Any]]:
        if self._columns is None:
            return {MATRIX: np.ascontiguousarray(rows, dtype=self._type)}
        fed = {}
        for at, ((name, type_), texts) in enumerate(self._columns):
            values = rows[:, at : at + 1]
            if texts is None:
                fed[name] = values.astype(type_)
            else:
                fed[name] = texts[np.where(np.isnan(values), -1, values).astype(np.intp)]
        return fed


def _takes_columns(model: Any) -> bool:
    """Whether the first thing that a row meets picks columns by name."""
    first = steps_of(model)[0] if type(model).__name__ == "Pipeline" and steps_of(model) else model
    return type(first).__name__ == "ColumnTransformer"


def _last_kind(model: Any) -> str:
    return type(steps_of(model)[-1] if type(model).__name__ == "Pipeline" and steps_of(model) else model).__name__


def _convert(model: Any, signature: Signature, by_name: bool, path: Path) -> None:
    """Writes the converted model, of which ONNX Runtime can run every node. Raises CannotCompile."""
    reason = ""
    for number in ("DoubleTensorType", "FloatTensorType"):
        path.write_bytes(_converted(model, signature, by_name, number))
        try:
            OnnxSession(path)
        except EngineUnusable as unusable:
            reason = reason or str(unusable)
        else:
            return
    path.unlink()
    raise CannotCompile(reason)


def _converted(model: Any, signature: Signature, by_name: bool, number: str) -> bytes:
    """number: skl2onnx's type of a column of numbers."""
    try:
        skl2onnx = imported("skl2onnx", "'tilth[onnx]'")
        types = imported("skl2onnx.common.data_types", "'tilth[onnx]'")
    except EngineUnusable as missing:
        raise CannotCompile(str(missing)) from missing
    numbers = getattr(types, number)
    taken = [(MATRIX, numbers([None, len(signature.inputs)]))]
    if by_name:
        taken = [
            (column.name, (numbers if column.categories is None else types.StringTensorType)([None, 1]))
            for column in signature.inputs
        ]
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content: bytes = skl2onnx.convert_sklearn(model, initial_types=taken, options=options).SerializeToString()
        except Exception as error:  # the converter raises whatever its parts raise on a model that it does not know
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise CannotCompile(f"skl2onnx cannot convert this {type(model).__name__}: {reason}") from error
    return content


def _landmarks(model: Any) -> dict[int, NDArray[np.float64]]:
    """Split points of a single tree; other models are smooth, and the gate's own rows tell enough."""
    tree = getattr(model, "tree_", None)
    if tree is None:
        return {}
    return {int(at): np.unique(tree.threshold[tree.feature == at]) for at in np.unique(tree.feature[tree.feature >= 0])}
