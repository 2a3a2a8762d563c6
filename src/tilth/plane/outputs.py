"""From the model's numbers to the values that stand in the answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilth.flavours.port import Outputs
from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column

Values = Sequence[Any]


class OutputColumns:
    """One output column: a list of values. Several: a list of rows. NaN and infinities become null, since JSON has neither."""

    def __init__(self, document: ModelDocument) -> None:
        self._translate = [_translation(column) for column in document.signature.outputs]
        self._plain = all(translate is None for translate in self._translate)

    def listed(self, outputs: Outputs) -> list[Any]:
        """outputs: shape (rows,) or (rows, outputs). Raises ValueError if that is not what the signature says."""
        if outputs.ndim == 2 and outputs.shape[1] != len(self._translate):
            raise ValueError(f"the model gave {outputs.shape[1]} outputs, its signature has {len(self._translate)}")
        if self._plain:
            values: list[Any] = outputs.tolist()
            return values
        if outputs.ndim == 1:
            return _translated(self._translate[0], outputs)
        columns = [_translated(translate, outputs[:, at]) for at, translate in enumerate(self._translate)]
        return [list(row) for row in zip(*columns, strict=True)]


def _translated(translate: Callable[[float], Any] | None, column: Outputs) -> list[Any]:
    values: list[Any] = column.tolist()
    if translate is None:
        return values
    return [translate(value) if known else None for value, known in zip(values, np.isfinite(column).tolist(), strict=True)]


def _translation(column: Column) -> Callable[[float], Any] | None:
    match column.type:
        case "long":
            return int
        case "boolean":
            return bool
        case "string":
            names = column.categories or ()
            return lambda code: names[int(code)]
        case "double":
            return None
