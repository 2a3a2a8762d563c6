"""What a model server and its processes say to each other over their sockets: a MessagePack head, then the bytes of the arrays.

Each end judges what the other sends: types come from a list, sizes must fit their shapes, and the bytes of all arrays together are
bounded before room is made for any. A model's process is not trusted, so nothing here can make the reader run code.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Damaged

Kind = Literal["load", "loaded", "predict", "read", "outputs", "refused", "failed"]
MOST_HEAD_BYTES = 1 << 20
MOST_FRAME_BYTES = 4 << 30
"""Of all arrays of a frame, where the reader says nothing else."""
PIECE_ITEMS = 4096
"""Values of an array of objects that travel together: whoever reads them lets other threads in between."""
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
    """pieces: bytes of each piece of an array of objects; its values stand in them in row-major order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[int, ...] = ()


class _Head(msgspec.Struct, frozen=True, array_like=True):
    kind: Kind
    text: str
    detail: dict[str, Any]
    arrays: tuple[_ArrayHead, ...]


class Frame(msgspec.Struct, frozen=True):
    """text: of `failed`, what the model raised; of `refused`, why the caller's rows cannot be predicted. detail: what each
    kind says besides."""

    kind: Kind
    text: str = ""
    detail: dict[str, Any] = {}
    arrays: Mapping[str, NDArray[Any]] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode
# A list within a list of a few bytes could become gigabytes: so each value is looked at before it is made.
_raw_items = msgspec.msgpack.Decoder(Annotated[list[msgspec.Raw], msgspec.Meta(max_length=PIECE_ITEMS)]).decode
_scalar = msgspec.msgpack.Decoder(str | int | float | bool | None).decode
_bytes = msgspec.msgpack.Decoder(bytes).decode
_BYTES_MARKS = (0xC4, 0xC5, 0xC6)

Take = Callable[[int], bytearray | memoryview]
"""Gives the next so many bytes."""


def pieces(frame: Frame) -> list[bytes | memoryview]:
    """The frame as it goes over the wire, arrays uncopied where they are contiguous.

    Raises TypeError for an array of other objects than text, bytes, numbers and None.
    """
    heads: list[_ArrayHead] = []
    buffers: list[bytes | memoryview] = []
    for name, array in frame.arrays.items():
        if array.dtype.kind in "OSU":
            values = array.ravel().tolist()
            parts = [_encode(values[at : at + PIECE_ITEMS]) for at in range(0, len(values), PIECE_ITEMS)]
            heads.append(_ArrayHead(name, _OBJECTS, array.shape, tuple(map(len, parts))))
            buffers += parts
        else:
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            heads.append(_ArrayHead(name, array.dtype.name, array.shape))
            buffers.append(little.reshape(-1).view(np.uint8).data)
    head = _encode(_Head(frame.kind, frame.text, frame.detail, tuple(heads)))
    return [_LENGTH.pack(len(head)), head, *buffers]


def send(channel: socket.socket, frame: Frame) -> None:
    """Raises OSError, TimeoutError among them as the socket is set."""
    send_pieces(channel, pieces(frame))


def send_pieces(channel: socket.socket, made: Sequence[bytes | memoryview]) -> None:
    for piece in made:
        channel.sendall(piece)


def receive(channel: socket.socket, most_bytes: int = MOST_FRAME_BYTES) -> Frame:
    """Raises EOFError when the other end is gone, FrameDamaged, and OSError."""
    return read(lambda count: _exactly(channel, count), most_bytes)


def read(take: Take, most_bytes: int = MOST_FRAME_BYTES) -> Frame:
    """most_bytes: of all arrays. Raises FrameDamaged and whatever `take` raises."""
    (length,) = _LENGTH.unpack(take(_LENGTH.size))
    if length > MOST_HEAD_BYTES:
        raise FrameDamaged(f"a frame says that its head has {length} bytes")
    try:
        head = _decode(take(length))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise FrameDamaged(f"the head of a frame cannot be read: {error}") from error
    told = sum(map(_bytes_of, head.arrays))
    if told > most_bytes:
        raise FrameDamaged(f"a frame says that its arrays have {told} bytes; {most_bytes} are the most that it may have")
    try:
        return Frame(head.kind, head.text, head.detail, {each.name: _array(each, take) for each in head.arrays})
    except MemoryError as error:
        raise FrameDamaged(f"there is no room for the {told} bytes of a frame") from error


def _bytes_of(head: _ArrayHead) -> int:
    """As the head says. Raises FrameDamaged where that cannot be."""
    if any(size < 0 for size in head.shape) or len(head.shape) > 32:
        raise FrameDamaged(f"array {head.name!r} says it has the shape {head.shape}")
    count = prod(head.shape)
    if head.dtype == _OBJECTS:
        if len(head.pieces) != -(-count // PIECE_ITEMS) or any(size < 0 for size in head.pieces):
            raise FrameDamaged(f"array {head.name!r} has {len(head.pieces)} pieces, its shape is {head.shape}")
        return sum(head.pieces)
    if head.dtype not in _TYPES:
        raise FrameDamaged(f"array {head.name!r} is of type {head.dtype!r}, which no frame carries")
    return count * np.dtype(head.dtype).itemsize


def _array(head: _ArrayHead, take: Take) -> NDArray[Any]:
    count = prod(head.shape)
    if head.dtype == _OBJECTS:
        flat = _objects(head, count, take)
    else:
        kind = np.dtype(head.dtype).newbyteorder("<")
        flat = np.frombuffer(take(count * kind.itemsize), kind).astype(kind.newbyteorder("="), copy=False)
    try:
        return flat.reshape(head.shape)
    except ValueError as error:
        raise FrameDamaged(f"array {head.name!r} says it has the shape {head.shape}: {error}") from error


def _objects(head: _ArrayHead, count: int, take: Take) -> NDArray[Any]:
    values: list[Any] = []
    for size in head.pieces:
        try:
            values += map(_value, _raw_items(take(size)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameDamaged(f"array {head.name!r} has values that are neither text nor numbers: {error}") from error
    if len(values) != count:
        raise FrameDamaged(f"array {head.name!r} has {len(values)} values, its shape has room for {count}")
    array = np.empty(count, dtype=object)
    array[:] = values
    return array


def _value(raw: msgspec.Raw) -> Any:
    return _bytes(raw) if memoryview(raw)[0] in _BYTES_MARKS else _scalar(raw)


def _exactly(channel: socket.socket, count: int) -> memoryview:
    # NumPy asks for room without filling it: what is only announced takes no memory.
    data = np.empty(count, np.uint8).data
    view = data
    while view:
        got = channel.recv_into(view)
        if not got:
            raise EOFError("the other end of the socket is gone")
        view = view[got:]
    return data
