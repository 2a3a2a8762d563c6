"""`tilth.json`: what stands beside MLflow's `MLmodel` in the folder of a logged model."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tilth.wire.signature import Signature

DOCUMENT_NAME = "tilth.json"

PredictMethod = Literal["predict", "predict_proba"]


class Parity(msgspec.Struct, frozen=True):
    """How a compiled engine compared with the framework that trained the model, over the same rows.

    max_difference: greatest |difference| of an output; flips: rows whose predicted class differs at threshold 0.5 (or argmax);
    passed: whether the engine may serve. reason: why not, else empty.
    """

    rows: int
    max_difference: float
    tolerance: float
    flips: int
    missing_checked: bool
    categories_checked: bool
    passed: bool
    reason: str = ""


class CompiledEngine(msgspec.Struct, frozen=True):
    """A faster form of the model: `engine` names who runs it (`treelite`), `path` is the file within the folder."""

    engine: str
    path: str
    parity: Parity
    detail: dict[str, Any] = {}


class ModelDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything the model server needs to load the folder and to check requests against it.

    isolated: loading or predicting may run code that came with the model: only a process of its own may do either.
    """

    flavour: str
    signature: Signature
    method: PredictMethod
    model_path: str
    format: int = 1
    classes: tuple[str, ...] = ()
    frameworks: dict[str, str] = {}
    compiled: tuple[CompiledEngine, ...] = ()
    not_compiled: str = ""
    detail: dict[str, Any] = {}
    isolated: bool = False
