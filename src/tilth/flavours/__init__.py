"""Adapters to the frameworks that models come from. Importing this package imports none of them."""

from tilth.flavours.port import (
    ArrayPredictor,
    Arrays,
    CannotCompile,
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
from tilth.flavours.registry import COMPILERS, flavour_for, flavour_named
from tilth.flavours.saving import FallbackArrayPredictor, FallbackPredictor, load_predictor, save_model

__all__ = [
    "COMPILERS",
    "ArrayPredictor",
    "Arrays",
    "CannotCompile",
    "Compiled",
    "Compiler",
    "EngineUnusable",
    "FallbackArrayPredictor",
    "FallbackPredictor",
    "Flavour",
    "Outputs",
    "Predictor",
    "Rows",
    "UnknownFlavour",
    "UnusableExample",
    "flavour_for",
    "flavour_named",
    "load_predictor",
    "save_model",
]
