"""What each framework's adapter offers. One small file per framework; the heavy library is imported inside it, late."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Signature

Rows = NDArray[np.float64]
"""Encoded inputs, shape (rows, inputs): numbers as they are, booleans 0/1, categories as their index, missing as NaN."""

Outputs = NDArray[np.float64]
"""Shape (rows,) for one output column, (rows, outputs) for several."""


class UnknownFlavour(Invalid):
    """No adapter knows this kind of model."""


class Predictor(Protocol):
    """A loaded model. Thread-safe for concurrent `predict`."""

    engine: str

    def predict(self, rows: Rows) -> Outputs: ...


class Flavour(Protocol):
    """Saves and loads the models of one framework."""

    name: str

    def knows(self, model: object) -> bool:
        """Whether this adapter handles the object; must not import the framework if the object cannot be of it."""
        ...

    def signature(self, model: Any, example: Any, method: PredictMethod) -> Signature:
        """Columns, types and category vocabularies. example: a DataFrame or 2-d array of at least one row, as used in training."""
        ...

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        """Writes an MLflow-compatible model directory including `tilth.json` into the empty `folder`, returns the document."""
        ...

    def load(self, folder: Path, document: ModelDocument) -> Predictor:
        """The framework's own engine. May run code from the folder (pickle): never call it in the control process."""
        ...
