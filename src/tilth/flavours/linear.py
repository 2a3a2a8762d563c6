"""Linear and logistic regression in plain numpy, with a StandardScaler before it or not: a few microseconds for a row.

Of scikit-learn, and of statsmodels where the model was fitted on arrays: generalised linear models of the same links and the logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.estimators import innermost, steps_of
from tilth.flavours.optional import is_of
from tilth.flavours.port import CannotCompile, Compiled, EngineUnusable, Outputs, Predictor, Rows
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Signature

FILE = "compiled/linear.npz"

Link = Literal["identity", "logistic", "softmax", "log"]

_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV"})
_LINEAR = frozenset(
    {"LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "HuberRegressor", "BayesianRidge"}
)


_STATSMODELS: dict[str, Link] = {"OLS": "identity", "WLS": "identity", "GLS": "identity", "Logit": "logistic", "Poisson": "log"}
_LINKS_OF_GLM: dict[str, Link] = {"Identity": "identity", "Logit": "logistic", "Log": "log"}


class LinearCompiler:
    engine = "linear"

    def compile(self, model: Any, signature: Signature, method: PredictMethod, folder: Path) -> Compiled:
        if is_of(model, "statsmodels"):
            return _saved_statsmodels(model, method, folder)
        scaler, last = _parts(model)
        kind = type(last).__name__
        if kind not in (_LOGISTIC if method == "predict_proba" else _LINEAR):
            raise CannotCompile(f"{kind} with {method} is no linear model that is known")
        if any(column.categories is not None for column in signature.inputs):
            raise CannotCompile("a linear model over categories is not compiled")
        weights = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64)).T
        offset = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64), (weights.shape[1],))
        link: Link = "identity" if method == "predict" else "logistic" if weights.shape[1] == 1 else "softmax"
        return _saved(folder, link, weights, offset, scaler)

    def load(self, path: Path, detail: Mapping[str, Any], outputs: int) -> Predictor:
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in ("weights", "offset", "center", "scale")}
        except (OSError, ValueError, KeyError) as error:
            raise EngineUnusable(f"{path.name} cannot be read: {error}") from error
        return _LinearPredictor(**arrays, link=detail["link"])


def _saved(folder: Path, link: Link, weights: NDArray[np.float64], offset: NDArray[np.float64], scaler: Any) -> Compiled:
    """weights: shape (inputs, outputs); offset: (outputs,)."""
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    np.savez(path, weights=weights, offset=offset, center=_of(scaler, "mean_", 0.0), scale=_of(scaler, "scale_", 1.0))
    return Compiled(FILE, {"link": link})


class _LinearPredictor:
    """Runs for each prediction. Scales before it multiplies, as scikit-learn does: folding the scale into the weights loses bits."""

    engine = "linear"

    def __init__(
        self,
        weights: NDArray[np.float64],
        offset: NDArray[np.float64],
        center: NDArray[np.float64],
        scale: NDArray[np.float64],
        link: Link,
    ) -> None:
        self._weights, self._offset, self._center, self._scale, self._link = weights, offset, center, scale, link

    def predict(self, rows: Rows) -> Outputs:
        score = ((rows - self._center) / self._scale) @ self._weights + self._offset
        if self._link == "softmax":
            score = np.exp(score - score.max(axis=1, keepdims=True))
            return np.asarray(score / score.sum(axis=1, keepdims=True))
        if self._link == "log":
            with np.errstate(over="ignore"):
                score = np.exp(score)
        elif self._link == "logistic":
            # exp of minus a large number is 0, of plus a large one overflows: this form only meets the first.
            score = np.exp(-np.logaddexp(0.0, -score))
        return score[:, 0] if score.shape[1] == 1 else score


def _saved_statsmodels(results: Any, method: PredictMethod, folder: Path) -> Compiled:
    """Raises CannotCompile."""
    model = results.model
    kind = type(model).__name__
    if getattr(model, "formula", None) is not None:
        raise CannotCompile("a formula of statsmodels is not compiled")
    link = _LINKS_OF_GLM.get(type(model.family.link).__name__) if kind == "GLM" else _STATSMODELS.get(kind)
    if link is None or (link == "logistic") != (method == "predict_proba"):
        raise CannotCompile(f"{kind} of statsmodels with {method} is no linear model that is known")
    weights = np.asarray(results.params, dtype=np.float64)[:, None]
    return _saved(folder, link, weights, np.zeros(1), None)


def _parts(model: Any) -> tuple[Any, Any]:
    """(scaler or None, last estimator). Raises CannotCompile for a pipeline of anything else."""
    model = innermost(model)
    if type(model).__name__ != "Pipeline":
        return None, model
    steps = steps_of(model)
    match [type(step).__name__ for step in steps]:
        case ["StandardScaler", _]:
            return steps[0], steps[1]
        case names:
            raise CannotCompile(f"a pipeline of {', '.join(names)} is not compiled")


def _of(scaler: Any, name: str, default: float) -> NDArray[np.float64]:
    value = getattr(scaler, name, None)
    return np.asarray(default if value is None else value, dtype=np.float64)
