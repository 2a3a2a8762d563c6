"""Numbers of the model become values of the signature's types."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from tilth.plane.outputs import OutputColumns
from tilth.wire.signature import Column, Signature

LABEL = Column("label", "string", categories=("no", "yes"))


def columns(*outputs: Column) -> OutputColumns:
    return OutputColumns(Signature((Column("x", "double"),), outputs))


@pytest.mark.parametrize(
    ("column", "given", "shown"),
    [
        (Column("y", "double"), [0.5, np.nan, np.inf], b"[0.5,null,null]"),
        (Column("y", "long"), [3.0, np.nan], b"[3,null]"),
        (Column("y", "boolean"), [0.0, 1.0], b"[false,true]"),
        (LABEL, [1.0, 0.0, np.nan], b'["yes","no",null]'),
    ],
    ids=["double", "long", "boolean", "label"],
)
def test_one_output_is_a_list_of_its_type(column: Column, given: list[float], shown: bytes) -> None:
    assert msgspec.json.encode(columns(column).listed(np.array(given))) == shown


def test_several_outputs_are_a_list_for_each_row() -> None:
    given = np.array([[0.25, 1.0], [0.75, 0.0]])
    assert columns(Column("a", "double"), Column("b", "double")).listed(given) == [[0.25, 1.0], [0.75, 0.0]]
    expected: list[Any] = [[0.25, "yes"], [0.75, "no"]]
    assert columns(Column("a", "double"), LABEL).listed(given) == expected


def test_an_array_that_contradicts_the_signature_is_refused() -> None:
    with pytest.raises(ValueError, match="3 outputs, its signature has 1"):
        columns(Column("a", "double")).checked(np.zeros((2, 3)), 2)


@pytest.mark.parametrize("given", [np.array(["1"]), np.array([None]), np.array([1j])], ids=["text", "objects", "complex"])
def test_what_is_no_number_is_refused_before_it_is_counted(given: Any) -> None:
    with pytest.raises(ValueError, match="its signature says numbers"):
        columns(Column("a", "double")).checked(given, 1)
