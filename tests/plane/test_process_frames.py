"""What a model server and a model's process say to each other: laws of the codec, and what is no frame."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tilth.plane.executors.frames import Frame, FrameDamaged, pieces, read, receive, send

NUMBERS = st.sampled_from(
    ["bool", *(f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)), "float16", "float32", "float64"]
)
SHAPES = numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TEXTS = st.lists(st.none() | st.text(max_size=8) | st.binary(max_size=8), max_size=6)


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


ARRAYS = st.one_of(
    st.tuples(NUMBERS, SHAPES).flatmap(lambda given: numpy_strategies.arrays(given[0], given[1])), TEXTS.map(objects)
)


def taking(data: bytes) -> Callable[[int], bytearray]:
    rest = bytearray(data)

    def take(count: int) -> bytearray:
        if count > len(rest):
            raise EOFError
        taken, rest[:] = rest[:count], rest[count:]
        return taken

    return take


def written(frame: Frame) -> bytes:
    return b"".join(bytes(piece) for piece in pieces(frame))


@given(st.dictionaries(st.text(max_size=5), ARRAYS, max_size=4), st.text(max_size=20))
def test_what_is_written_is_read(arrays: dict[str, Any], text: str) -> None:
    back = read(taking(written(Frame("outputs", text, {"engine": text}, arrays))))
    assert (back.kind, back.text, back.detail, list(back.arrays)) == ("outputs", text, {"engine": text}, list(arrays))
    for name, array in arrays.items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array)


def test_slices_and_foreign_byte_orders_arrive_as_they_mean() -> None:
    numbers = np.arange(12.0)
    given = {"slice": numbers[::3], "big": numbers.astype(">f8"), "columns": np.asfortranarray(numbers.reshape(3, 4))}
    back = read(taking(written(Frame("predict", arrays=given))))
    for name, array in given.items():
        np.testing.assert_array_equal(back.arrays[name], array)


@given(st.binary(max_size=200))
def test_garbage_is_damage_or_an_end_and_nothing_else(data: bytes) -> None:
    with pytest.raises((FrameDamaged, EOFError)):
        read(taking(data))


@given(st.integers(0, 120), st.integers(0, 255))
def test_a_changed_byte_never_makes_anything_but_a_frame_or_damage(at: int, value: int) -> None:
    data = bytearray(written(Frame("outputs", arrays={"x": np.arange(6.0).reshape(2, 3), "t": objects(["a", None])})))
    data[at % len(data)] = value
    try:
        back = read(taking(bytes(data)))
    except (FrameDamaged, EOFError):
        return
    assert isinstance(back, Frame)


def test_frames_cross_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, Frame("predict", arrays={"rows": np.ones((3, 2))}))
        assert receive(theirs).arrays["rows"].tolist() == [[1.0, 1.0]] * 3
        ours.close()
        with pytest.raises(EOFError):
            receive(theirs)


def framed(*heads: Any, kind: str = "outputs") -> bytes:
    """A frame of array heads as nobody honest writes them, and nothing after it."""
    head = msgspec.msgpack.encode([kind, "", {}, heads])
    return len(head).to_bytes(4, "little") + head


@pytest.mark.parametrize(
    "heads",
    [
        [["x", "float64", [1 << 40]]],
        [[f"x{n}", "float64", [1 << 20]] for n in range(1000)],
        [["x", "object", [4096], [1 << 40]]],
        [["x", "object", [1 << 40], [5]]],
        [["x", "object", [1 << 30], [0] * 10]],
        [["x", "float64", [1 << 62, 1 << 62, 0]]],
        [["x", "float64", [-1]]],
    ],
    ids=["long", "many", "long piece", "few pieces", "short pieces", "empty and endless", "negative"],
)
def test_arrays_that_say_they_are_giant_are_refused_before_there_is_room_for_them(heads: Any) -> None:
    frame = framed(*heads)
    asked: list[int] = []

    def take(count: int) -> bytearray:
        asked.append(count)
        return taking(frame[sum(asked[:-1]) :])(count)

    with pytest.raises(FrameDamaged):
        read(take, most_bytes=1 << 30)
    assert sum(asked) <= len(frame)


@pytest.mark.parametrize("value", [[], {}, [[]] * 1000, msgspec.msgpack.Ext(1, b"x")])
def test_a_value_that_is_neither_text_nor_number_is_damage(value: Any) -> None:
    piece = msgspec.msgpack.encode(["a", value])
    with pytest.raises(FrameDamaged, match="neither text nor numbers"):
        read(taking(framed(["x", "object", [2], [len(piece)]]) + piece))
    crowded = msgspec.msgpack.encode([None] * 5000)
    with pytest.raises(FrameDamaged):
        read(taking(framed(["x", "object", [2], [len(crowded)]]) + crowded))
