"""What a model server and a model's process say to each other over their socket: a MessagePack head, then the bytes of the arrays.

Each end judges what the other sends: types come from a list, sizes must fit their shapes, lengths are bounded. A model's process is not
trusted, so nothing here can make the reader run code.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Damaged

Kind = Literal["load", "loaded", "predict", "outputs", "refused", "failed"]
MOST_HEAD_BYTES = 256 << 20
MOST_ARRAY_BYTES = 4 << 30
_LENGTH = struct.Struct("<I")
_OBJECTS = "object"
_TYPES = frozenset(
    f"{name}{size}"
    for name, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)), ("float", (16, 32, 64)))
    for size in sizes
) | {"bool"}


class FrameDamaged(Damaged):
    """The other end of the socket sent something that is no frame."""


class _ArrayHead(msgspec.Struct, frozen=True, array_like=True):
    """items: the values of an array of objects, in row-major order; other arrays follow the head as bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    items: tuple[Any, ...] = ()


class _Head(msgspec.Struct, frozen=True, array_like=True):
    kind: Kind
    text: str
    detail: dict[str, Any]
    arrays: tuple[_ArrayHead, ...]


class Frame(msgspec.Struct, frozen=True):
    """text: of `failed`, what the model raised; of `refused`, why the caller's rows cannot be predicted. detail: of `load` and `loaded`."""

    kind: Kind
    text: str = ""
    detail: dict[str, Any] = {}
    arrays: Mapping[str, NDArray[Any]] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode


def pieces(frame: Frame) -> list[bytes | memoryview]:
    """The frame as it goes over the wire, arrays uncopied where they are contiguous."""
    heads, buffers = [], []
    for name, array in frame.arrays.items():
        if array.dtype.kind in "OSU":
            heads.append(_ArrayHead(name, _OBJECTS, array.shape, tuple(array.ravel().tolist())))
        else:
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            heads.append(_ArrayHead(name, array.dtype.name, array.shape))
            buffers.append(little.reshape(-1).view(np.uint8).data)
    head = _encode(_Head(frame.kind, frame.text, frame.detail, tuple(heads)))
    return [_LENGTH.pack(len(head)), head, *buffers]


def send(channel: socket.socket, frame: Frame) -> None:
    """Raises OSError, TimeoutError among them as the socket is set."""
    for piece in pieces(frame):
        channel.sendall(piece)


def receive(channel: socket.socket) -> Frame:
    """Raises EOFError when the other end is gone, FrameDamaged, and OSError."""
    return read(lambda count: _exactly(channel, count))


def read(take: Callable[[int], bytearray]) -> Frame:
    """take: the next so many bytes. Raises FrameDamaged and whatever `take` raises."""
    (length,) = _LENGTH.unpack(take(_LENGTH.size))
    if length > MOST_HEAD_BYTES:
        raise FrameDamaged(f"a frame says that its head has {length} bytes")
    try:
        head = _decode(take(length))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise FrameDamaged(f"the head of a frame cannot be read: {error}") from error
    return Frame(head.kind, head.text, head.detail, {each.name: _array(each, take) for each in head.arrays})


def _array(head: _ArrayHead, take: Callable[[int], bytearray]) -> NDArray[Any]:
    if any(size < 0 for size in head.shape) or len(head.shape) > 32:
        raise FrameDamaged(f"array {head.name!r} says it has the shape {head.shape}")
    count = prod(head.shape)
    if head.dtype == _OBJECTS:
        return _objects(head.name, head.items, count).reshape(head.shape)
    if head.dtype not in _TYPES:
        raise FrameDamaged(f"array {head.name!r} is of type {head.dtype!r}, which no frame carries")
    kind = np.dtype(head.dtype).newbyteorder("<")
    if count * kind.itemsize > MOST_ARRAY_BYTES:
        raise FrameDamaged(f"array {head.name!r} says it has {count * kind.itemsize} bytes")
    flat = np.frombuffer(take(count * kind.itemsize), kind)
    return flat.astype(kind.newbyteorder("="), copy=False).reshape(head.shape)


def _objects(name: str, items: Sequence[Any], count: int) -> NDArray[Any]:
    if len(items) != count:
        raise FrameDamaged(f"array {name!r} has {len(items)} values, its shape has room for {count}")
    if not all(item is None or isinstance(item, str | bytes | bool | int | float) for item in items):
        raise FrameDamaged(f"array {name!r} has values that are neither text nor numbers")
    array = np.empty(count, dtype=object)
    for at, item in enumerate(items):
        array[at] = item
    return array


def _exactly(channel: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = channel.recv_into(view)
        if not got:
            raise EOFError("the other end of the socket is gone")
        view = view[got:]
    return data
