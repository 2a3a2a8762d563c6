"""Which adapters there are."""

from __future__ import annotations

import logging
from functools import cache
from importlib import metadata

from tilth.core.errors import Conflict
from tilth.flavours.catboost import CatboostFlavour
from tilth.flavours.function import FunctionFlavour
from tilth.flavours.keras import KerasFlavour, TensorflowFlavour
from tilth.flavours.lightgbm import LightgbmFlavour
from tilth.flavours.linear import LinearCompiler
from tilth.flavours.onnx import OnnxFlavour
from tilth.flavours.onnx_compiler import OnnxCompiler
from tilth.flavours.port import Compiler, Flavour, UnknownFlavour
from tilth.flavours.sklearn import SklearnFlavour
from tilth.flavours.statsmodels import StatsmodelsFlavour
from tilth.flavours.torch import TorchFlavour
from tilth.flavours.treelite import TreeliteCompiler
from tilth.flavours.xgboost import XgboostFlavour

logger = logging.getLogger(__name__)

GROUP = "tilth.flavours"

FLAVOURS: tuple[Flavour, ...] = (
    XgboostFlavour(),
    LightgbmFlavour(),
    CatboostFlavour(),
    StatsmodelsFlavour(),
    SklearnFlavour(),
    OnnxFlavour(),
    TorchFlavour(),
    KerasFlavour(),
    TensorflowFlavour(),
    FunctionFlavour(),
)
"""In the order in which they are asked: boosting libraries make their classes estimators of scikit-learn, and most models can be
called, as functions can."""

_registered: dict[str, Flavour] = {}

COMPILERS: tuple[Compiler, ...] = (TreeliteCompiler(), LinearCompiler(), OnnxCompiler())
"""In the order in which they are tried."""


class NameTaken(Conflict):
    """A flavour of that name exists. Raised by: register."""


def register(flavour: Flavour) -> None:
    """Adds an adapter of your own for this process. It is asked before ours; one of the same name is replaced.

    Model servers find adapters of installed packages by the entry point group `tilth.flavours`: a class, or an instance.
    Raises NameTaken where the name is one of ours.
    """
    if any(ours.name == flavour.name for ours in FLAVOURS):
        raise NameTaken(f"a flavour named {flavour.name!r} comes with Tilth; give yours another name")
    _registered[flavour.name] = flavour


def unregister(name: str) -> None:
    """Takes back what `register` added; its models load here no longer. Raises UnknownFlavour where none was added by that name."""
    if _registered.pop(name, None) is None:
        raise UnknownFlavour(f"no flavour named {name!r} was registered in this process, so there is nothing to take back")


def flavour_for(model: object) -> Flavour:
    """Raises UnknownFlavour."""
    for flavour in (*_registered.values(), *_installed(), *FLAVOURS):
        if flavour.knows(model):
            return flavour
    kind = type(model)
    raise UnknownFlavour(
        f"no flavour knows {kind.__module__}.{kind.__qualname__}; these can be saved: {_names()}. "
        "Log a function of a DataFrame around it, or register a flavour of your own."
    )


def flavour_named(name: str) -> Flavour:
    """Raises UnknownFlavour."""
    for flavours in (FLAVOURS, _registered.values()):
        for flavour in flavours:
            if flavour.name == name:
                return flavour
    for flavour in _installed():
        if flavour.name == name:
            return flavour
    raise UnknownFlavour(
        f"no flavour is named {name!r}; there are: {_names()}. Either a newer Tilth wrote this model, or its flavour is "
        f"somebody's own: install here the package that has it as an entry point of {GROUP!r}."
    )


@cache
def _installed() -> tuple[Flavour, ...]:
    found = []
    for point in metadata.entry_points(group=GROUP):
        try:
            given = point.load()
            found.append(given() if isinstance(given, type) else given)
        except Exception:  # a package of somebody else: what it lacks must not keep all other models from loading
            logger.exception("the flavour %r of %s cannot be used", point.name, point.value)
    return tuple(found)


def compiler_named(engine: str) -> Compiler | None:
    return next((compiler for compiler in COMPILERS if compiler.engine == engine), None)


def _names() -> str:
    return ", ".join(flavour.name for flavour in (*_registered.values(), *_installed(), *FLAVOURS))
