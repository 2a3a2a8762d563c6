"""Adapters to the frameworks that models come from. Importing this package imports none of them."""

from tilth.flavours.function import WithFiles
from tilth.flavours.port import (
    ArrayPredictor,
    Arrays,
    CannotCompile,
    CannotExplain,
    Compiled,
    Compiler,
    EngineUnusable,
    Flavour,
    Outputs,
    Predictor,
    Rows,
    UnknownFlavour,
    UnusableExample,
)
from tilth.flavours.registry import COMPILERS, NameTaken, flavour_for, flavour_named, register, unregister
from tilth.flavours.saving import FallbackArrayPredictor, FallbackPredictor, load_predictor, save_model

__all__ = [
    "COMPILERS",
    "ArrayPredictor",
    "Arrays",
    "CannotCompile",
    "CannotExplain",
    "Compiled",
    "Compiler",
    "EngineUnusable",
    "FallbackArrayPredictor",
    "FallbackPredictor",
    "Flavour",
    "NameTaken",
    "Outputs",
    "Predictor",
    "Rows",
    "UnknownFlavour",
    "UnusableExample",
    "WithFiles",
    "flavour_for",
    "flavour_named",
    "load_predictor",
    "register",
    "save_model",
    "unregister",
]
