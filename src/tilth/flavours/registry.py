"""Which adapters there are."""

from __future__ import annotations

from tilth.flavours.catboost import CatboostFlavour
from tilth.flavours.lightgbm import LightgbmFlavour
from tilth.flavours.linear import LinearCompiler
from tilth.flavours.onnx import OnnxFlavour
from tilth.flavours.onnx_compiler import OnnxCompiler
from tilth.flavours.port import Compiler, Flavour, UnknownFlavour
from tilth.flavours.sklearn import SklearnFlavour
from tilth.flavours.statsmodels import StatsmodelsFlavour
from tilth.flavours.treelite import TreeliteCompiler
from tilth.flavours.xgboost import XgboostFlavour

FLAVOURS: tuple[Flavour, ...] = (
    XgboostFlavour(),
    LightgbmFlavour(),
    CatboostFlavour(),
    StatsmodelsFlavour(),
    SklearnFlavour(),
    OnnxFlavour(),
)
"""In the order in which they are asked: boosting libraries make their classes estimators of scikit-learn."""

COMPILERS: tuple[Compiler, ...] = (TreeliteCompiler(), LinearCompiler(), OnnxCompiler())
"""In the order in which they are tried."""


def flavour_for(model: object) -> Flavour:
    """Raises UnknownFlavour."""
    for flavour in FLAVOURS:
        if flavour.knows(model):
            return flavour
    kind = type(model)
    raise UnknownFlavour(
        f"no flavour knows {kind.__module__}.{kind.__qualname__}; these can be saved: {_names()}. "
        "Wrap the model in a fitted scikit-learn estimator or pipeline."
    )


def flavour_named(name: str) -> Flavour:
    """Raises UnknownFlavour."""
    for flavour in FLAVOURS:
        if flavour.name == name:
            return flavour
    raise UnknownFlavour(f"no flavour is named {name!r}; there are: {_names()}. A newer Tilth may have written this model.")


def compiler_named(engine: str) -> Compiler | None:
    return next((compiler for compiler in COMPILERS if compiler.engine == engine), None)


def _names() -> str:
    return ", ".join(flavour.name for flavour in FLAVOURS)
