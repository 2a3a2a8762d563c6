"""Tensors of the Open Inference Protocol: names of datatypes, raw bytes and JSON lists, both ways. Pure.

Raw bytes are little endian, row by row; an element of BYTES is its length as u32 and then that many bytes.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.plane.forms import kind_of

Array = NDArray[Any]

NUMPY_TYPES: dict[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
DATATYPES = {numpy: datatype for datatype, numpy in NUMPY_TYPES.items()}
_NATIVE = {datatype: np.dtype(numpy) for datatype, numpy in NUMPY_TYPES.items()}
_LITTLE = {datatype: native.newbyteorder("<") for datatype, native in _NATIVE.items()}
_BY_TYPE = {native: datatype for datatype, native in _NATIVE.items()}
MOST_AXES = 32
MOST_ITEMS = 1 << 62
"""Of one axis: what numpy can count."""
MOST_EMPTY = 1 << 20
"""The product of the lengths that are not 0 in the shape of an empty tensor."""
_LENGTH = struct.Struct("<I")


class InvalidTensor(Invalid):
    """A tensor is not what its datatype and shape say."""


def check_head(name: str, datatype: str, shape: list[int]) -> None:
    """Raises InvalidTensor."""
    if datatype not in NUMPY_TYPES:
        raise InvalidTensor(f"tensor {name!r} has the datatype {datatype[:20]!r}; known are {', '.join(NUMPY_TYPES)}")
    if len(shape) > MOST_AXES or any(not 0 <= length <= MOST_ITEMS for length in shape):
        raise InvalidTensor(
            f"tensor {name!r} has the shape {str(shape)[:80]}; lengths are 0 to {MOST_ITEMS}, of at most {MOST_AXES} axes"
        )
    if 0 in shape and math.prod(length for length in shape if length) > MOST_EMPTY:
        # No data bounds the other lengths here, and neither numpy nor a model could do with rows without end.
        raise InvalidTensor(f"tensor {name!r} has the shape {str(shape)[:80]}: it is empty, and its other lengths are too great")


def from_raw(name: str, datatype: str, shape: list[int], raw: memoryview) -> Array:
    """A copy of the bytes as an array. Raises InvalidTensor unless they are exactly the tensor."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return _from_raw_bytes(name, count, raw).reshape(shape)
    dtype = _LITTLE[datatype]
    if len(raw) != count * dtype.itemsize:
        raise InvalidTensor(
            f"tensor {name!r} has {len(raw)} bytes; {datatype} of the shape {shape} takes {count * dtype.itemsize}"
        )
    if datatype == "BOOL":
        flags = np.frombuffer(raw, dtype=np.uint8)
        if (flags > 1).any():
            raise InvalidTensor(f"tensor {name!r} is BOOL, and byte {int(np.argmax(flags > 1))} is neither 0 nor 1")
        return flags.astype(np.bool_).reshape(shape)
    return np.frombuffer(raw, dtype=dtype).astype(_NATIVE[datatype]).reshape(shape)


def to_raw(array: Array) -> bytes:
    """Raises ValueError for an object that is neither text nor bytes (a missing one is empty)."""
    if array.dtype != object:
        return array.astype(_LITTLE[datatype_of(array)], copy=False).tobytes()
    pieces = []
    for element in array.ravel():
        raw = b"" if element is None else element.encode() if isinstance(element, str) else element
        if not isinstance(raw, bytes):
            raise ValueError(f"an output holds {type(element).__name__}, which is neither text nor bytes")
        pieces += [_LENGTH.pack(len(raw)), raw]
    return b"".join(pieces)


def from_json(name: str, datatype: str, shape: list[int], data: Any) -> Array:
    """Flat or nested lists, row by row. `null` is a missing number or text. Raises InvalidTensor."""
    if type(data) is not list:
        raise InvalidTensor(f"tensor {name!r} needs 'data', a list of values, or binary_data_size; got {kind_of(data)}")
    elements = _flat(name, shape, data)
    count = math.prod(shape)
    if len(elements) != count:
        raise InvalidTensor(f"tensor {name!r} has {len(elements)} values; the shape {shape} takes {count}")
    called, allowed = _ELEMENTS[datatype]
    if not allowed.issuperset(map(type, elements)):
        at, element = next((at, element) for at, element in enumerate(elements) if type(element) not in allowed)
        raise InvalidTensor(f"tensor {name!r}, value {at}: {datatype} takes {called}, not {kind_of(element)}")
    if datatype == "BYTES":
        return _objects(elements).reshape(shape)
    if datatype.startswith("FP") and None in elements:
        elements = [math.nan if element is None else element for element in elements]
    if datatype == "FP64":
        # Nothing is narrowed, and a whole number that is too large raises by itself.
        return _made(name, datatype, elements).reshape(shape)
    with np.errstate(over="raise"):
        return _made(name, datatype, elements).reshape(shape)


def _made(name: str, datatype: str, elements: list[Any]) -> Array:
    try:
        return np.array(elements, dtype=_NATIVE[datatype])
    except (OverflowError, FloatingPointError) as error:
        raise InvalidTensor(f"tensor {name!r}: a number does not fit into {datatype}") from error


def to_json(array: Array) -> list[Any]:
    """Flat. NaN stays; the JSON encoder writes null. Raises ValueError for bytes that are no text."""
    values: list[Any] = array.ravel().tolist()
    if array.dtype == object:
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    return values


def datatype_of(array: Array) -> str:
    return _BY_TYPE[array.dtype]


def _flat(name: str, shape: list[int], data: list[Any]) -> list[Any]:
    """Nested lists must have the tensor's shape; a flat one needs only its count."""
    elements = data
    if not elements or type(elements[0]) is not list:
        return elements
    for axis, length in enumerate(shape):
        if not elements:
            return elements
        if axis and (set(map(type, elements)) != {list} or set(map(len, elements)) != {length}):
            raise InvalidTensor(f"tensor {name!r}: the nested lists of axis {axis} are not all {length} long, as the shape says")
        if axis:
            elements = [element for part in elements for element in part]
    return elements


def _objects(elements: list[Any]) -> Array:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def _from_raw_bytes(name: str, count: int, raw: memoryview) -> Array:
    elements: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        if at + _LENGTH.size > end:
            raise InvalidTensor(f"tensor {name!r} ends within the length of element {len(elements)}")
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if length > end - at:
            raise InvalidTensor(
                f"tensor {name!r}: element {len(elements)} says that it is {length} bytes long, and {end - at} are left"
            )
        elements.append(bytes(raw[at : at + length]))
        at += length
    if len(elements) != count:
        raise InvalidTensor(f"tensor {name!r} has {len(elements)} elements; its shape takes {count}")
    return _objects(elements)


_WHOLE = ("whole numbers", frozenset({int}))
_NUMBERS = ("numbers", frozenset({int, float, type(None)}))
_ELEMENTS = {
    "BOOL": ("true and false", frozenset({bool})),
    "BYTES": ("strings", frozenset({str, type(None)})),
    **{
        datatype: _NUMBERS if datatype.startswith("FP") else _WHOLE
        for datatype in NUMPY_TYPES
        if datatype not in ("BOOL", "BYTES")
    },
}
