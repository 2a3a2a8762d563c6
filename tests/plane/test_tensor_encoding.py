"""The same values mean the same to a model, whether they come as a table, as one tensor or as a tensor for each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tilth.core.errors import Invalid
from tilth.plane.encoding import Encoder
from tilth.plane.forms import Form
from tilth.plane.tensors import Tensors
from tilth.wire.signature import Column, Signature

DOUBLES = Signature((Column("a", "double"), Column("b", "double", nullable=True), Column("c", "double")), ())
MIXED = Signature((Column("a", "double", nullable=True), Column("n", "long"), Column("m", "long", nullable=True)), ())
SINGLE = Signature((Column("a", "double"),), ())

values = st.none() | st.integers(-5, 5) | st.floats(-1e6, 1e6) | st.just(float(2**53)) | st.just(float(2**60))


def encoded(encoder: Encoder, given_: Any) -> list[list[Any]] | None:
    """Rows with None for NaN; None if they are refused."""
    try:
        rows = encoder.encode(given_)
    except Invalid:
        return None
    assert rows.flags.c_contiguous
    assert rows.flags.writeable
    assert rows.dtype == np.float64
    return [[None if value != value else value for value in row] for row in rows.tolist()]


@given(st.sampled_from([DOUBLES, MIXED]), st.lists(st.tuples(values, values, values), min_size=1, max_size=4))
@example(MIXED, [(None, 1.0, None)])
@example(MIXED, [(1.0, 1.5, 1.0)])
@example(DOUBLES, [(1.0, None, 2.0), (1.0, 2.0, None)])
def test_tables_and_tensors_are_taken_or_refused_alike(signature: Signature, table: list[tuple[Any, ...]]) -> None:
    encoder = Encoder(signature)
    names = [column.name for column in signature.inputs]
    floats = np.array([[np.nan if value is None else value for value in row] for row in table], dtype=np.float64)
    expected = encoded(encoder, Form("instances", [list(row) for row in table]))
    assert encoded(encoder, Tensors({"x": floats})) == expected
    assert encoded(encoder, Tensors({name: floats[:, at] for at, name in reversed(list(enumerate(names)))})) == expected
    assert encoded(encoder, Tensors({name: floats[:, [at]] for at, name in enumerate(names)})) == expected


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", "float16", "float32"])
def test_numbers_of_any_type_become_the_same_table(dtype: str) -> None:
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype=dtype)
    for signature in (DOUBLES, MIXED):
        names = [column.name for column in signature.inputs]
        assert encoded(Encoder(signature), Tensors({"x": array})) == array.tolist()
        assert encoded(Encoder(signature), Tensors({name: array[:, at] for at, name in enumerate(names)})) == array.tolist()


def test_the_tensor_of_a_single_column_may_have_its_name_or_another() -> None:
    encoder = Encoder(SINGLE)
    column = np.array([[1.0], [2.0]])
    assert encoded(encoder, Tensors({"a": column})) == encoded(encoder, Tensors({"x": column})) == [[1.0], [2.0]]
    assert encoded(encoder, Tensors({"a": column[:, 0]})) == [[1.0], [2.0]]
    assert encoded(encoder, Tensors({"x": column[:, 0]})) is None


def test_booleans_are_0_and_1_in_a_table_of_numbers_alone() -> None:
    encoder = Encoder(Signature((Column("late", "boolean"), Column("x", "double")), ()))
    assert encoded(encoder, Tensors({"w": np.array([[1, 0.5], [0, 2]])})) == [[1.0, 0.5], [0.0, 2.0]]
    assert encoded(encoder, Tensors({"w": np.array([[2, 0.5]])})) is None
    assert encoded(encoder, Tensors({"w": np.array([[np.nan, 0.5]])})) is None
    assert encoded(encoder, Tensors({"late": np.array([True]), "x": np.array([1])})) == [[1.0, 1.0]]
    assert encoded(encoder, Tensors({"late": np.array([1]), "x": np.array([1])})) is None


def test_infinities_are_refused() -> None:
    for value in (np.inf, -np.inf):
        assert encoded(Encoder(DOUBLES), Tensors({"x": np.array([[1, value, 3]])})) is None
