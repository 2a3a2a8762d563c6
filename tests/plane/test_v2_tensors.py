"""Tensors of the v2 protocol: what is written is what is read, and what is no tensor is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from tilth.plane.protocols.datatypes import (
    NUMPY_TYPES,
    InvalidTensor,
    check_head,
    datatype_of,
    from_json,
    from_raw,
    to_json,
    to_raw,
)

NUMERIC = sorted(set(NUMPY_TYPES) - {"BYTES"})
shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


@st.composite
def numeric(draw: st.DrawFn, *, finite: bool = False) -> Any:
    dtype = np.dtype(NUMPY_TYPES[draw(st.sampled_from(NUMERIC))])
    options = {"allow_nan": not finite, "allow_infinity": not finite} if dtype.kind == "f" else {}
    return draw(arrays.arrays(dtype, draw(shapes), elements=arrays.from_dtype(dtype, **options)))


@st.composite
def objects(draw: st.DrawFn, elements: Any) -> Any:
    shape = draw(shapes)
    count = int(np.prod(shape))
    array = np.empty(count, dtype=object)
    array[:] = draw(st.lists(elements, min_size=count, max_size=count))
    return array.reshape(shape)


@given(numeric())
def test_numbers_come_back_from_raw_bytes_as_they_went(array: Any) -> None:
    again = from_raw("x", datatype_of(array), list(array.shape), memoryview(to_raw(array)))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    assert again.flags.writeable


@given(numeric(finite=True))
def test_numbers_come_back_from_json_as_they_went(array: Any) -> None:
    again = from_json("x", datatype_of(array), list(array.shape), to_json(array))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    nested = array.tolist()
    np.testing.assert_array_equal(from_json("x", datatype_of(array), list(array.shape), nested), array)


@given(objects(st.binary(max_size=20)))
def test_bytes_come_back_as_they_went_and_as_tritons_client_reads_them(array: Any) -> None:
    raw = to_raw(array)
    again = from_raw("x", "BYTES", list(array.shape), memoryview(raw))
    assert again.shape == array.shape
    assert again.ravel().tolist() == array.ravel().tolist()
    assert deserialize_bytes_tensor(raw).tolist() == array.ravel().tolist()
    if array.size:
        assert serialize_byte_tensor(array).item() == raw


@given(objects(st.text(alphabet=st.characters(codec="utf-8"), max_size=20)))
def test_text_comes_back_from_json_as_it_went(array: Any) -> None:
    assert from_json("x", "BYTES", list(array.shape), to_json(array)).ravel().tolist() == array.ravel().tolist()


def test_missing_numbers_are_null_in_json() -> None:
    assert np.isnan(from_json("x", "FP32", [2], [1.5, None])).tolist() == [False, True]


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "why"),
    [
        ("FP64", [2], b"\0" * 15, "has 15 bytes; FP64 of the shape [2] takes 16"),
        ("FP64", [2], b"\0" * 17, "has 17 bytes"),
        ("INT8", [2**40, 2**40], b"\0", "has 1 bytes"),
        ("BOOL", [2], b"\1\2", "byte 1 is neither 0 nor 1"),
        ("BYTES", [1], b"\1\0", "ends within the length of element 0"),
        ("BYTES", [1], struct.pack("<I", 5) + b"abcd", "says that it is 5 bytes long, and 4 are left"),
        ("BYTES", [1], struct.pack("<I", 2**32 - 1) + b"abcd", "are left"),
        ("BYTES", [2], struct.pack("<I", 1) + b"a", "has 1 elements; its shape takes 2"),
        ("BYTES", [0], struct.pack("<I", 0), "has 1 elements; its shape takes 0"),
    ],
)
def test_raw_bytes_that_are_not_the_tensor_are_refused(datatype: str, shape: list[int], raw: bytes, why: str) -> None:
    with pytest.raises(InvalidTensor) as refused:
        from_raw("x", datatype, shape, memoryview(raw))
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "why"),
    [
        ("FP64", [2], [1.0], "has 1 values; the shape [2] takes 2"),
        ("FP64", [2, 2], [[1.0, 2.0], [3.0]], "axis 1 are not all 2 long"),
        ("FP64", [2, 2], [[1.0, 2.0], 3.0], "axis 1"),
        ("FP64", [2], ["a", "b"], "FP64 takes numbers, not a string"),
        ("FP32", [1], [1e300], "does not fit into FP32"),
        ("INT8", [1], [128], "does not fit into INT8"),
        ("UINT64", [1], [-1], "does not fit into UINT64"),
        ("INT64", [1], [1.5], "takes whole numbers, not a number"),
        ("INT64", [1], [True], "takes whole numbers, not a boolean"),
        ("BOOL", [1], [1], "takes true and false, not a number"),
        ("BYTES", [1], [1], "takes strings, not a number"),
        ("FP64", [1], {"a": 1}, "needs 'data', a list of values"),
        ("FP64", [1], None, "needs 'data'"),
        ("FP64", [1, 1, 1], [[[[1.0]]]], "FP64 takes numbers, not a list"),
    ],
)
def test_json_that_is_not_the_tensor_is_refused(datatype: str, shape: list[int], data: Any, why: str) -> None:
    with pytest.raises(InvalidTensor) as refused:
        from_json("x", datatype, shape, data)
    assert why in str(refused.value)


@pytest.mark.parametrize("shape", [[0, 2**62, 2**62], [2**62, 0], [0, 2**64 - 1], [0, 10**30], [1 << 20, 0, 2], [-1], [1] * 33])
def test_shapes_that_no_data_can_bound_are_refused(shape: list[int]) -> None:
    with pytest.raises(InvalidTensor):
        check_head("x", "FP64", shape)
    check_head("x", "FP64", [0, 1 << 20])
