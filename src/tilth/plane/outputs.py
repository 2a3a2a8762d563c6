"""From what the model gives to the values that stand in the answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.port import Arrays, Outputs
from tilth.plane.arrays import check_shape, column_array, dtype_of, empty_of
from tilth.wire.signature import Column, Signature, Tensor

Values = Sequence[Any]
Array = NDArray[Any]


class OutputColumns:
    """Of a model that gives numbers. One output column: a list of values. Several: a list of rows. NaN and infinities become null,
    since JSON has neither."""

    def __init__(self, signature: Signature) -> None:
        self.columns = signature.outputs
        self._translate = [_translation(column) for column in signature.outputs]
        self.by_tensor = False
        self._plain = all(translate is None for translate in self._translate)

    def empty(self) -> Outputs:
        return np.empty(0)

    def checked(self, outputs: Any, rows: int) -> Outputs:
        """Raises ValueError unless there are numbers for each row, (rows,) or (rows, outputs)."""
        if outputs.dtype.kind not in "fiub":
            raise ValueError(f"the model gave an array of {outputs.dtype}, its signature says numbers")
        if outputs.ndim not in (1, 2) or len(outputs) != rows:
            raise ValueError(f"the model gave an array of shape {outputs.shape} for {rows} rows")
        if outputs.ndim == 2 and outputs.shape[1] != len(self._translate):
            raise ValueError(f"the model gave {outputs.shape[1]} outputs, its signature has {len(self._translate)}")
        return outputs  # type: ignore[no-any-return]

    def listed(self, outputs: Outputs) -> list[Any]:
        """As JSON has them."""
        if self._plain:
            values: list[Any] = outputs.tolist()
            return values
        if outputs.ndim == 1:
            return _translated(self._translate[0], outputs)
        columns = [_translated(translate, outputs[:, at]) for at, translate in enumerate(self._translate)]
        return [list(row) for row in zip(*columns, strict=True)]

    def by_name(self, outputs: Outputs) -> dict[str, Array]:
        """An array for each output: float64, int64, bool, or objects (`str` or None). Whole numbers and booleans of which one is
        missing stay floats, since their types have no value for that."""
        if not len(outputs):
            return {column.name: empty_of(column) for column in self.columns}
        parts = [outputs] if outputs.ndim == 1 else list(outputs.T)
        return {
            column.name: np.ascontiguousarray(part)
            if translate is None or (column.type != "string" and not np.isfinite(part).all())
            else column_array(column, _translated(translate, part))
            for column, translate, part in zip(self.columns, self._translate, parts, strict=True)
        }


class NamedOutputs:
    """Of a model that gives arrays by name: columns or tensors."""

    def __init__(self, signature: Signature) -> None:
        self.by_tensor = len(signature.output_tensors) > 1
        """Whether `listed` gives lists by name."""
        self._given: Sequence[Column | Tensor] = signature.output_tensors or signature.outputs

    def empty(self) -> Arrays:
        return {given.name: empty_of(given) for given in self._given}

    def checked(self, outputs: Any, rows: int) -> Arrays:
        """In the signature's order and types. Raises ValueError unless each output is there, with a result for each row."""
        checked = {}
        for given in self._given:
            if given.name not in outputs:
                raise ValueError(f"the model gave no output {given.name!r}; it gave {', '.join(map(repr, outputs))}")
            array = np.asarray(outputs[given.name])
            if not array.ndim or len(array) != rows:
                raise ValueError(f"output {given.name!r} has the shape {array.shape} for {rows} rows")
            checked[given.name] = _typed_tensor(given, array) if isinstance(given, Tensor) else _typed_column(given, array)
        return checked

    def listed(self, outputs: Arrays) -> Any:
        """One output: its (nested) list. Several tensors: lists by name. Several columns: a list of rows."""
        lists = {name: _json_list(array) for name, array in outputs.items()}
        if len(lists) == 1:
            return next(iter(lists.values()))
        return lists if self.by_tensor else [list(row) for row in zip(*lists.values(), strict=True)]

    def by_name(self, outputs: Arrays) -> Arrays:
        return outputs


AnyOutputs = OutputColumns | NamedOutputs


def outputs_of(signature: Signature) -> AnyOutputs:
    return NamedOutputs(signature) if signature.named else OutputColumns(signature)


def _typed_tensor(tensor: Tensor, array: Array) -> Array:
    check_shape(tensor, array)
    if tensor.type == "bytes":
        return array.astype(object)
    wanted = dtype_of(tensor)
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise ValueError(f"output {tensor.name!r} is of type {array.dtype}, the signature says {tensor.type}")
    return np.ascontiguousarray(array, dtype=wanted)


def _typed_column(column: Column, array: Array) -> Array:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"output column {column.name!r} has the shape {array.shape}; a column has one value for each row")
    values = array.tolist()
    if column.type == "string":
        values = [value if value is None else str(value) for value in values]
    return column_array(column, values)


def _json_list(array: Array) -> list[Any]:
    """NaN stays: the JSON encoder writes it as null. Bytes become text; raises ValueError where they are none."""
    values: list[Any] = array.tolist()
    if array.dtype != object:
        return values
    texts = array.ravel().tolist()
    if any(isinstance(text, bytes) for text in texts):
        flat = np.empty(array.size, dtype=object)
        flat[:] = [text.decode() if isinstance(text, bytes) else text for text in texts]
        values = flat.reshape(array.shape).tolist()
    return values


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
