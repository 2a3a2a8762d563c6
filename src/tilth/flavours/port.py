"""What each framework's adapter offers. One small file per framework; the heavy library is imported inside it, late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.wire.models import Link, ModelDocument, PredictMethod
from tilth.wire.signature import Signature, Unseen

Rows = NDArray[np.float64]
"""Encoded inputs, shape (rows, inputs): numbers as they are, booleans 0/1, categories as their index, missing as NaN."""

Outputs = NDArray[np.float64]
"""Shape (rows,) for one output column, (rows, outputs) for several."""


Arrays = Mapping[str, NDArray[Any]]
"""Inputs or outputs by name, where the signature is `named`; the first axis of each is the rows. Tensors have the signature's types.
Columns are 1-d: float64, int64 or bool, and objects (`str` or None) for text."""


class UnknownFlavour(Invalid):
    """No adapter knows this kind of model."""


class UnusableExample(Invalid):
    """The input example does not tell what the model takes. Raised by: signature, save."""


class CannotCompile(Invalid):
    """No faster form of this model is known; the framework's own engine serves it. Raised by: Compiler.compile."""


class EngineUnusable(Invalid):
    """A compiled form cannot be loaded on this machine. Raised by: Compiler.load."""


class CannotExplain(Invalid):
    """Nothing is known that tells what each input of this model added to its answer. Raised by: explainers."""


class Predictor(Protocol):
    """A loaded model. One thread at a time asks it."""

    engine: str

    def predict(self, rows: Rows) -> Outputs: ...


@runtime_checkable
class ArrayPredictor(Protocol):
    """A loaded model whose signature is `named`. One thread at a time asks it."""

    engine: str

    def predict_arrays(self, arrays: Arrays) -> Arrays: ...


class Explainer(Protocol):
    """Tells what each input added to an answer. Thread-safe."""

    @property
    def link(self) -> Link:
        """The scale on which contributions add up to the answer."""
        ...

    def contributions(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shape (rows, outputs, inputs), and the base (outputs,): base and contributions of a row add up to its answer."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A loaded model of a framework that computes contributions by itself."""

    def explainer(self) -> Explainer:
        """Raises CannotExplain."""
        ...


class Flavour(Protocol):
    """Saves and loads the models of one framework."""

    name: str

    def knows(self, model: object) -> bool:
        """Whether this adapter handles the object; must not import the framework if the object cannot be of it."""
        ...

    def default_method(self, model: Any) -> PredictMethod:
        """`predict_proba` for a classifier that has it, else `predict`."""
        ...

    def signature(
        self,
        model: Any,
        example: Any,
        method: PredictMethod,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        unseen: Mapping[str, Unseen] | None = None,
    ) -> Signature:
        """Columns, types and category vocabularies. example: a DataFrame or 2-d array of at least one row, as used in training.

        categories: vocabularies of text columns that have none of their own; unseen: what a column does with other values.
        Raises UnusableExample.
        """
        ...

    def encode(self, example: Any, signature: Signature) -> Rows | Arrays:
        """The rows of a DataFrame or array in the form that the predictor takes: arrays by name where the signature is `named`."""
        ...

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        """Writes the model into the empty `folder`, with what MLflow reads of it or without; returns what `tilth.json` will hold."""
        ...

    def load(self, folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
        """The framework's own engine, an ArrayPredictor where the signature is `named`.

        May run code from the folder (pickle): never call it in the control process.
        """
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compiler wrote: the file within the model's folder, what its loader must know (JSON), and where to look closely.

    landmarks: per input the values at which the model's answer may change; the parity gate tries them and their neighbours.
    """

    path: str
    detail: dict[str, Any]
    landmarks: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)


class Compiler(Protocol):
    """Turns a model into a form that answers faster, and runs that form without the framework."""

    engine: str

    def compile(self, model: Any, signature: Signature, method: PredictMethod, folder: Path) -> Compiled:
        """Writes one file below `folder`. Raises CannotCompile."""
        ...

    def load(self, path: Path, detail: Mapping[str, Any], outputs: int) -> Predictor | ArrayPredictor:
        """path: the file that `compile` wrote; outputs: columns of the signature. Raises EngineUnusable."""
        ...
