"""Rows of plain numbers are read at once; they must mean what the same rows mean by name, which are read column by column."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import Invalid
from tilth.plane.encoding import Encoder
from tilth.plane.forms import read_form
from tilth.wire.signature import Column, Signature

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-20, 20),
    st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, -(2**53), 10**400, 7.5, 7.0, True, None, "7", [1]]),
)
SIGNATURES = st.lists(st.tuples(st.sampled_from(["double", "long"]), st.booleans()), min_size=1, max_size=4).map(
    lambda kinds: Signature(
        inputs=tuple(Column(f"x{at}", type_, nullable=nullable) for at, (type_, nullable) in enumerate(kinds)),
        outputs=(Column("y", "double"),),
    )
)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Signature, list[list[Any]]]:
    signature = draw(SIGNATURES)
    width = len(signature.inputs)
    return signature, draw(st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=4))


@given(asked())
def test_lists_and_records_of_the_same_values_are_read_alike(case: tuple[Signature, list[list[Any]]]) -> None:
    signature, rows = case
    names = [column.name for column in signature.inputs]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    # Long bodies are decoded with their types in view, short ones are looked at afterwards.
    for times in (1, 700):
        by_name = _read(signature, {"dataframe_records": records * times})
        assert _same(by_name, _read(signature, {"instances": rows * times}))
        assert _same(by_name, _read(signature, {"inputs": rows * times}))
        assert _same(by_name, _read(signature, {"dataframe_split": {"columns": names, "data": rows * times}}))


def _read(signature: Signature, document: dict[str, Any]) -> Any:
    try:
        return Encoder(signature).encode(read_form(msgspec.json.encode(document)))
    except Invalid as error:
        return (type(error), str(error))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return bool(one == other)
    return bool(one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True) and other.flags.c_contiguous)
