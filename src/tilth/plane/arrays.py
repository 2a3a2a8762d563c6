"""From a request's JSON to arrays by name, for models that take tensors or columns of free text. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.flavours.port import Arrays
from tilth.plane.columns import Picker, listed
from tilth.plane.encoding import Encoder, NumberColumn, TextColumn, blame_overflow, coder_of
from tilth.plane.forms import Form, InvalidBody, Table, WrongWidth, kind_of, table_of
from tilth.plane.problems import NullValue, WrongShape, WrongType
from tilth.plane.tensors import Tensors, check_lengths, column_arrays, is_wide, numbers, texts
from tilth.wire.signature import Column, Signature, Tensor

Array = NDArray[Any]


def dtype_of(tensor: Tensor) -> np.dtype[Any]:
    """How the model meets the tensor's elements."""
    return np.dtype(object if tensor.type == "bytes" else tensor.type)


def empty_of(given: Column | Tensor) -> Array:
    """No rows of an input or output."""
    if isinstance(given, Tensor):
        return np.empty((0, *(max(0, length) for length in given.shape[1:])), dtype_of(given))
    return column_array(given, ())


def column_array(column: Column, values: Sequence[Any]) -> Array:
    """Checked values of a column as a model of named arrays meets them, 1-d."""
    if column.type == "boolean" and not column.nullable:
        return np.array(values, dtype=np.bool_)
    if column.type in ("boolean", "string"):
        if column.type == "boolean":
            values = [None if value is None or value != value else bool(value) for value in values]
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    # An int64 has no value for "missing".
    return np.array(values, dtype=np.int64 if column.type == "long" and not column.nullable else np.float64)


def zeros_of(given: Column | Tensor) -> Array:
    """One row of zeros, false, or empty text; an axis of any length is 1 long."""
    if isinstance(given, Column):
        values = {"string": (given.categories or ("",))[0], "boolean": False, "long": 0, "double": 0.0}
        return column_array(given, (values[given.type],))
    zeros = np.zeros((1, *(abs(length) for length in given.shape[1:])), dtype_of(given))
    if given.type == "bytes":
        zeros.fill("")
    return zeros


class NamedColumnsEncoder:
    """Columns of which some are free text: one 1-d array for each input. Raises UnsuitableSignature."""

    def __init__(self, signature: Signature) -> None:
        self.picker = Picker(signature.inputs)
        self._coders = tuple(
            TextColumn(column) if column.type == "string" else cast(NumberColumn, coder_of(column)) for column in signature.inputs
        )

    def encode(self, given: Form | Table | Tensors) -> Arrays:
        """Raises a kind of Invalid whose message names column, row (from 0), what was expected and what came."""
        if isinstance(given, Tensors):
            return self._encode_tensors(given)
        columns = self.picker.columns(table_of(given) if isinstance(given, Form) else given)
        if not columns:
            return {coder.column.name: empty_of(coder.column) for coder in self._coders}
        return {coder.column.name: _checked(coder, values) for coder, values in zip(self._coders, columns, strict=True)}

    def _encode_tensors(self, given: Tensors) -> Arrays:
        columns = [coder.column for coder in self._coders]
        wide = is_wide(given, columns)
        encoded = {}
        for coder, array in zip(self._coders, column_arrays(given, columns, self.picker), strict=True):
            column = coder.column
            if isinstance(coder, TextColumn):
                encoded[column.name] = column_array(column, coder.code(texts(column, array)))
            else:
                encoded[column.name] = column_array(column, numbers(column, array, wide=wide).tolist())
        return encoded


def _checked(coder: TextColumn | NumberColumn, values: Sequence[Any]) -> Array:
    checked = coder.code(values)
    try:
        return column_array(coder.column, checked)
    except OverflowError:
        blame_overflow(coder.column, checked)
        raise


class TensorEncoder:
    """Named tensors: `inputs` as {name: nested lists}, `instances` as a list of {name: nested lists}, or either as bare nested
    lists for a model of one tensor."""

    def __init__(self, signature: Signature) -> None:
        self.picker = Picker(signature.tensors)
        self._tensors = signature.tensors

    def encode(self, given: Form | Table | Tensors) -> Arrays:
        """Raises a kind of Invalid that names the tensor."""
        if isinstance(given, Tensors):
            return self._encode_tensors(given)
        if isinstance(given, Table) or given.name.startswith("dataframe"):
            raise InvalidBody(
                f"this model takes tensors ({listed(self.picker.names)}), not a table; "
                'send {"inputs": {name: nested lists}}, or infer over the v2 protocol'
            )
        values = self._by_name(given)
        arrays = {tensor.name: _tensor(tensor, values[tensor.name]) for tensor in self._tensors}
        if len({len(array) for array in arrays.values()}) > 1:
            shown = ", ".join(f"{name!r} {len(array)}" for name, array in arrays.items())
            raise WrongWidth(f"the tensors have different numbers of rows: {shown}")
        return arrays

    def _encode_tensors(self, given: Tensors) -> Arrays:
        self.picker.check_names(given.arrays, what="tensor")
        for tensor in self._tensors:
            array = given.arrays[tensor.name]
            if array.dtype != dtype_of(tensor):
                raise WrongType(f"tensor {tensor.name!r} is of {array.dtype}, the model takes {tensor.type}")
            if tensor.type == "bytes" and None in array.ravel().tolist():
                raise NullValue(f"tensor {tensor.name!r} holds null; send an empty string if that is meant")
            check_shape(tensor, array)
        check_lengths(given.arrays)
        return {name: given.arrays[name] for name in self.picker.names}

    def _by_name(self, given: Form) -> dict[str, Any]:
        names, value = self.picker.names, given.value
        if isinstance(value, dict):
            self.picker.check_names(value)
            return value
        if isinstance(value, list) and value and isinstance(value[0], dict):
            table = table_of(given)
            return dict(zip(names, map(list, self.picker.columns(table)), strict=True))
        if len(names) > 1:
            raise InvalidBody(f'this model takes {listed(names)}; name them: {{"inputs": {{{names[0]!r}: ...}}}}')
        return {names[0]: value}


AnyEncoder = Encoder | NamedColumnsEncoder | TensorEncoder


def encoder_of(signature: Signature) -> AnyEncoder:
    """Raises UnsuitableSignature."""
    if signature.tensors:
        return TensorEncoder(signature)
    return NamedColumnsEncoder(signature) if signature.named else Encoder(signature)


def _tensor(tensor: Tensor, nested: Any) -> Array:
    """The array of nested lists, of the tensor's type and shape."""
    shape = _shape(tensor, nested)
    elements = _flat(nested, len(shape))
    kinds = _KINDS[tensor.type]
    if not kinds.allowed.issuperset(map(type, elements)):
        _blame(tensor, elements, kinds)
    if tensor.type == "bytes":
        array = np.empty(len(elements), dtype=object)
        array[:] = elements
    else:
        array = _numbers(tensor, elements, kinds)
    array = array.reshape(shape)
    check_shape(tensor, array)
    return array


def check_shape(tensor: Tensor, array: Array) -> None:
    """Raises WrongShape."""
    wanted = tensor.shape
    if array.ndim != len(wanted) or any(want not in (-1, has) for want, has in zip(wanted, array.shape, strict=True)):
        raise WrongShape(f"tensor {tensor.name!r} has the shape {list(array.shape)}, the model takes {list(wanted)} (-1: any)")


def _shape(tensor: Tensor, nested: Any) -> tuple[int, ...]:
    """By the first elements; `_flat` checks that all others agree."""
    if type(nested) is not list:
        raise WrongShape(f"tensor {tensor.name!r} must be nested lists of the shape {list(tensor.shape)}, not {kind_of(nested)}")
    shape: list[int] = []
    level: Any = nested
    while type(level) is list and len(shape) < len(tensor.shape):
        shape.append(len(level))
        level = level[0] if level else None
    if len(shape) < len(tensor.shape):
        if 0 not in shape:
            raise WrongShape(f"tensor {tensor.name!r} has {len(shape)} levels of lists, the model takes {list(tensor.shape)}")
        # Nothing was in the lists: what they would have held has the model's own shape.
        shape += [max(0, length) for length in tensor.shape[len(shape) :]]
    return tuple(shape)


def _flat(nested: list[Any], depth: int) -> list[Any]:
    elements = nested
    for _ in range(depth - 1):
        if not elements:
            return []
        if set(map(type, elements)) != {list}:
            raise WrongShape("nested lists of a tensor must all have the same depth")
        if len(set(map(len, elements))) > 1:
            raise WrongShape("nested lists of one level of a tensor must all have the same length")
        elements = [element for part in elements for element in part]
    return elements


class _Kinds:
    """Which JSON values become elements of a type, and what a message calls them."""

    def __init__(self, called: str, *allowed: type) -> None:
        self.called = called
        self.allowed = frozenset(allowed)


_FLOATS, _WHOLE = _Kinds("a number or null", float, int, type(None)), _Kinds("a whole number", int)
_KINDS: dict[str, _Kinds] = {
    "bool": _Kinds("true or false", bool),
    "bytes": _Kinds("a string", str),
    **dict.fromkeys(("float16", "float32", "float64"), _FLOATS),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), _WHOLE),
}


def _numbers(tensor: Tensor, elements: list[Any], kinds: _Kinds) -> Array:
    if kinds is _FLOATS:
        elements = [math.nan if element is None else element for element in elements]
    try:
        with np.errstate(over="raise"):
            return np.array(elements, dtype=tensor.type)
    except (OverflowError, FloatingPointError) as error:
        raise WrongType(f"tensor {tensor.name!r}: a number does not fit into {tensor.type}") from error


def _blame(tensor: Tensor, elements: list[Any], kinds: _Kinds) -> NoReturn:
    at, element = next((at, element) for at, element in enumerate(elements) if type(element) not in kinds.allowed)
    refused: Callable[[str], Invalid] = NullValue if element is None else WrongType
    if type(element) is list:
        raise WrongShape(f"tensor {tensor.name!r} is nested more deeply than the model takes: {list(tensor.shape)}")
    raise refused(f"tensor {tensor.name!r}, element {at}: expected {kinds.called}, got {kind_of(element)}")
