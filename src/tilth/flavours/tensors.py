"""Models whose framework takes and gives tensors: what their example tells, and how those over one table of numbers are served as a table.

A model of one 2-d floating input and one output of a number or a few per row is *tabular*: its signature has columns, it batches and
is asked like any other. Every other model keeps its tensors. Shared by the adapters of ONNX, PyTorch and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.frames import as_matrix, is_frame
from tilth.flavours.port import Arrays, Outputs, Rows, UnusableExample
from tilth.wire.signature import Column, ColumnType, Signature, Tensor, TensorType, Unseen

MOST_COLUMNS = 2000
MOST_OUTPUT_COLUMNS = 100
"""A wider input or output is a tensor: nobody asks for an embedding column by column."""

Run = Callable[[Arrays], Arrays]
"""The model itself: arrays by the framework's own names, in its own types."""


def as_array(value: Any) -> NDArray[Any]:
    """One array, tensor (PyTorch, TensorFlow), frame or list as numpy. Raises UnusableExample."""
    if is_frame(value):
        return as_matrix(value)
    for step in ("detach", "cpu", "numpy"):
        value = getattr(value, step)() if hasattr(value, step) else value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UnusableExample(f"the example is no array: its rows differ in length ({error})") from error
    if array.ndim == 0 or not len(array):
        raise UnusableExample("the example has no rows; pass a few, such as example=X[:5]")
    return array.astype(object) if array.dtype.kind in "US" else array


def arrays_of(example: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The example by the framework's own input names: a mapping by name, a tuple in their order, or the only input itself.

    Raises UnusableExample.
    """
    if isinstance(example, Mapping):
        if set(example) != set(names):
            raise UnusableExample(f"the example names {', '.join(map(str, example))}; the model takes {', '.join(names)}.")
        arrays = {name: as_array(example[name]) for name in names}
    elif isinstance(example, tuple):
        if len(example) != len(names):
            raise UnusableExample(f"the example has {len(example)} arrays; the model takes {len(names)}: {', '.join(names)}.")
        arrays = {name: as_array(value) for name, value in zip(names, example, strict=True)}
    elif len(names) == 1:
        arrays = {names[0]: as_array(example)}
    elif is_frame(example) and set(names) <= set(example.columns):
        arrays = {name: as_array(example[name].to_numpy()) for name in names}
    else:
        raise UnusableExample(f"the model takes {len(names)} inputs: give the example as a dict of {', '.join(names)}.")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise UnusableExample(f"the arrays of the example differ in their number of rows: {lengths}.")
    return arrays


def cast_to(arrays: Arrays, types: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The same arrays in the types that the framework takes (numpy's names); names without a type stay as they are."""
    return {
        name: array if types.get(name, "bytes") == "bytes" else array.astype(types[name], copy=False)
        for name, array in arrays.items()
    }


def tensors_of(arrays: Arrays) -> tuple[Tensor, ...]:
    """Name, type and shape of each; the first axis is the rows. Raises UnusableExample."""
    return tuple(Tensor(name, _type(name, array), (-1, *array.shape[1:])) for name, array in arrays.items())


def unnamed(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """As MLflow has it: the only array of a model has no name there."""
    return {"": next(iter(arrays.values()))} if len(arrays) == 1 else dict(arrays)


def describe(example: Any, inputs: Arrays, outputs: Arrays) -> Signature:
    """Columns where the model is tabular, else tensors. inputs, outputs: in the framework's types, at least one row each.

    Raises UnusableExample when an output does not have one entry for each row.
    """
    rows = len(next(iter(inputs.values())))
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            raise UnusableExample(
                f"output {name!r} has shape {array.shape} for {rows} rows; a served model gives one entry for each row."
            )
    if _tabular(example, inputs, outputs):
        (given,) = outputs.values()
        return Signature(inputs=_columns(example, next(iter(inputs.values()))), outputs=_output_columns(given))
    return Signature(tensors=tensors_of(inputs), output_tensors=tensors_of(outputs))


def encode_example(example: Any, signature: Signature) -> Rows | Arrays:
    """The rows that a tabular model's predictor takes, or the arrays of one of tensors, in its types. Raises UnusableExample."""
    if signature.named:
        arrays = arrays_of(example, [tensor.name for tensor in signature.tensors])
        return cast_to(arrays, {tensor.name: tensor.type for tensor in signature.tensors})
    if is_frame(example):
        missing = [column.name for column in signature.inputs if column.name not in example.columns]
        if missing:
            raise UnusableExample(f"these rows have no column {missing[0]!r}, which the model takes.")
        example = example[[column.name for column in signature.inputs]]
    matrix = as_matrix(as_array(example))
    if matrix.shape[1] != len(signature.inputs):
        raise UnusableExample(f"these rows have {matrix.shape[1]} columns, the model takes {len(signature.inputs)}.")
    return matrix


def refuse_vocabularies(categories: Mapping[str, Sequence[str]] | None, unseen: Mapping[str, Unseen] | None) -> None:
    """Raises UnusableExample when any is given."""
    if categories or unseen:
        raise UnusableExample("a model of tensors has no vocabularies: leave out categories= and unseen=.")


class TabularPredictor:
    """Runs for each prediction: rows as the one input of `run`, its one output as numbers. Thread-safe as far as `run` is."""

    def __init__(self, engine: str, run: Run, input_name: str, input_type: str, outputs: int) -> None:
        self.engine = engine
        self._run, self._name, self._type, self._outputs = run, input_name, np.dtype(input_type), outputs

    def predict(self, rows: Rows) -> Outputs:
        (given,) = self._run({self._name: rows.astype(self._type)}).values()
        given = np.asarray(given, dtype=np.float64)
        return given.reshape(len(rows)) if self._outputs == 1 else given


class TensorPredictor:
    """Runs for each prediction: arrays in the signature's types through `run`. Thread-safe as far as `run` is."""

    def __init__(self, engine: str, run: Run) -> None:
        self.engine = engine
        self.predict_arrays = run


def predictor_over(
    engine: str, run: Run, signature: Signature, input_name: str, input_type: str
) -> TabularPredictor | TensorPredictor:
    """The predictor that fits the signature. input_name, input_type: of the framework's input, where the model is tabular."""
    if signature.named:
        return TensorPredictor(engine, run)
    return TabularPredictor(engine, run, input_name, input_type, len(signature.outputs))


def _tabular(example: Any, inputs: Arrays, outputs: Arrays) -> bool:
    if len(inputs) != 1 or len(outputs) != 1 or isinstance(example, Mapping | tuple):
        return False
    (taken,), (given,) = inputs.values(), outputs.values()
    if taken.ndim != 2 or taken.dtype.kind != "f" or not 0 < taken.shape[1] <= MOST_COLUMNS:
        return False
    if given.dtype.kind not in "fiub":
        return False
    return given.ndim == 1 or (given.ndim == 2 and 0 < given.shape[1] <= MOST_OUTPUT_COLUMNS)


def _columns(example: Any, matrix: NDArray[Any]) -> tuple[Column, ...]:
    names = [str(name) for name in example.columns] if is_frame(example) else [f"x{at}" for at in range(matrix.shape[1])]
    if len(set(names)) != len(names):
        raise UnusableExample("two columns of the example have the same name; a request could not tell them apart.")
    return tuple(Column(name=name, type="double") for name in names)


def _output_columns(given: NDArray[Any]) -> tuple[Column, ...]:
    kind: ColumnType = "double" if given.dtype.kind == "f" else "boolean" if given.dtype.kind == "b" else "long"
    width = 1 if given.ndim == 1 else given.shape[1]
    names = ["prediction"] if width == 1 else [f"prediction_{at}" for at in range(width)]
    return tuple(Column(name=name, type=kind) for name in names)


def _type(name: str, array: NDArray[Any]) -> TensorType:
    if array.dtype.kind in "OUS":
        return "bytes"
    if array.dtype.name not in get_args(TensorType):
        raise UnusableExample(f"{name!r} has the type {array.dtype}, which no request can carry.")
    return cast(TensorType, array.dtype.name)
