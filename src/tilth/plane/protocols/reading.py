"""The prediction log read back: what was asked and answered, as columns by name, whatever protocol carried it.

Runs on what users sent: call it in a process that may fail, never in the control process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tilth.core.errors import Invalid
from tilth.plane.arrays import TensorEncoder
from tilth.plane.columns import Picker
from tilth.plane.forms import Form, table_of
from tilth.plane.protocols import CODECS
from tilth.plane.protocols.port import Content, Given
from tilth.plane.tensors import Tensors, column_arrays
from tilth.wire.predictions import PredictionFrame
from tilth.wire.signature import Column, Signature

Columns = dict[str, list[Any]]


class Read(NamedTuple):
    """One value for each row: float, int, bool, str or None for columns; nested lists for tensors.

    Strings stand as they were sent, those outside a vocabulary, too. Outputs that a request did not ask for are missing.
    """

    inputs: Columns
    outputs: Columns


class UnreadableFrame(Invalid):
    """A frame does not hold what its protocol says."""


class FrameReader:
    """Of the frames of one version. Made once for many of them. Raises UnsuitableSignature."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._tensors = TensorEncoder(signature) if signature.tensors else None
        self._picker = None if signature.tensors else Picker(signature.inputs)

    def columns_of(self, frame: PredictionFrame) -> Read:
        """Raises kinds of Invalid for a frame that was not written under this signature."""
        codec = CODECS.get(frame.protocol)
        if codec is None:
            raise UnreadableFrame(f"the protocol {frame.protocol!r} is unknown here; a newer Tilth wrote the frame")
        content = Content(frame.content_type, frame.header_bytes or None)
        given = codec.read(frame.body, content, self._signature).given
        try:
            outputs = _outputs(codec.read_answer(frame.answer, frame.answer_header_bytes), self._signature)
        except (KeyError, ValueError, TypeError) as error:
            # A model that was deleted and made anew under its name has versions of the same numbers, with other outputs.
            raise UnreadableFrame(f"the answer of {frame.prediction_id} cannot be read: {error}") from error
        return Read(self._inputs(given), outputs)

    def _inputs(self, given: Given) -> Columns:
        if self._tensors is not None:
            arrays = self._tensors.encode(given)
            return {name: _plain(array.tolist()) for name, array in arrays.items()}
        assert self._picker is not None
        expected = self._signature.inputs
        if isinstance(given, Tensors):
            columns: Sequence[Sequence[Any]] = [array.tolist() for array in column_arrays(given, expected, self._picker)]
        else:
            columns = self._picker.columns(table_of(given) if isinstance(given, Form) else given)
        if not columns:
            return {name: [] for name in self._picker.names}
        return {column.name: _typed(column, values) for column, values in zip(expected, columns, strict=True)}


def _outputs(answer: Any, signature: Signature) -> Columns:
    if isinstance(answer, Tensors):
        types = {column.name: column for column in signature.outputs}
        return {
            name: _typed(types[name], array.tolist()) if name in types else _plain(array.tolist())
            for name, array in answer.arrays.items()
        }
    if signature.output_tensors:
        named = answer if isinstance(answer, dict) else {signature.output_tensors[0].name: answer}
        for tensor in signature.output_tensors:
            _check_depth(named.get(tensor.name, ()), len(tensor.shape))
        return {name: list(values) for name, values in named.items()}
    if len(signature.outputs) == 1:
        return {signature.outputs[0].name: _typed(signature.outputs[0], answer)}
    columns = list(zip(*answer, strict=True)) or [()] * len(signature.outputs)
    return {column.name: _typed(column, values) for column, values in zip(signature.outputs, columns, strict=True)}


_TYPES: dict[str, type] = {"double": float, "long": int, "boolean": bool, "string": str}


def _typed(column: Column, values: Sequence[Any]) -> list[Any]:
    """In the column's own type: JSON writes 1 for 1.0."""
    made = _TYPES[column.type]
    # Most requests have one row.
    if len(values) == 1 and type(values[0]) is made and values[0] == values[0]:
        return [values[0]]
    return [None if value is None or value != value else _text(value) if made is str else made(value) for value in values]


def _check_depth(values: Any, depth: int) -> None:
    """Raises TypeError unless lists lie so deep in each other."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{str(values)[:40]!r} stands where a list should")
    if depth > 1:
        for each in values:
            _check_depth(each, depth - 1)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    """Nested lists without bytes."""
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return _text(value) if isinstance(value, bytes) else value
