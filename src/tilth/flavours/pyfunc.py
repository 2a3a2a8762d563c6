"""What MLflow calls to load a model that only Tilth knows: `loader_module` of its `MLmodel`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tilth.flavours import registry
from tilth.flavours.saving import load_predictor
from tilth.wire.models import DOCUMENT_NAME, ModelDocument


class PyfuncModel:
    """MLflow asks `predict` with a DataFrame. Several outputs, or text, come as a DataFrame; a single one as an array."""

    def __init__(self, folder: Path) -> None:
        self._document = msgspec.json.decode((folder / DOCUMENT_NAME).read_bytes(), type=ModelDocument)
        self._flavour = registry.flavour_named(self._document.flavour)
        self._predictor: Any = load_predictor(folder, self._document)

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        import pandas

        encoded = self._flavour.encode(data, self._document.signature)
        if isinstance(encoded, np.ndarray):
            return self._predictor.predict(encoded)
        outputs = self._predictor.predict_arrays(encoded)
        return next(iter(outputs.values())) if len(outputs) == 1 else pandas.DataFrame(outputs)


def _load_pyfunc(path: str) -> PyfuncModel:
    """path: the model's file, or its folder."""
    given = Path(path)
    return PyfuncModel(given if given.is_dir() else given.parent)
