"""What somebody types into the form of a model's inputs, as a request."""

import msgspec
import pytest

from tilth.domains.serving.rules.trial import UnreadableField, first_row, fits_a_form, request_of, shown
from tilth.wire.signature import Column, Signature, Tensor

INPUTS = (
    Column("distance", "double"),
    Column("hour", "long"),
    Column("late", "boolean"),
    Column("carrier", "string", categories=("AA", "UA"), nullable=True),
    Column("note", "string"),
)


def test_typed_text_becomes_values_of_the_columns_types():
    typed = {"distance": " 12.5 ", "hour": "7", "late": "True", "carrier": "UA", "note": "a b"}
    assert msgspec.json.decode(request_of(INPUTS, typed)) == {
        "dataframe_records": [{"distance": 12.5, "hour": 7, "late": True, "carrier": "UA", "note": "a b"}]
    }


def test_empty_fields_are_null_but_for_free_text():
    row = msgspec.json.decode(request_of(INPUTS, {}))["dataframe_records"][0]
    assert row == {"distance": None, "hour": None, "late": None, "carrier": None, "note": ""}


@pytest.mark.parametrize(
    ("column", "text"), [("distance", "far"), ("distance", "nan"), ("hour", "7.5"), ("late", "perhaps"), ("distance", "1e999")]
)
def test_text_that_no_value_can_be_made_of_is_refused_by_name(column, text):
    with pytest.raises(UnreadableField, match=column):
        request_of(INPUTS, {column: text})


@pytest.mark.parametrize(
    "example",
    [
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, null], [3, 4]]}}',
        b'{"inputs": [[1, null], [3, 4]]}',
        b'{"instances": [[1, null]]}',
        b'{"inputs": {"a": [1, 3], "b": [null, 4]}}',
        b'{"dataframe_records": [{"a": 1, "b": null}]}',
    ],
)
def test_the_first_row_of_an_example_fills_the_form(example):
    assert first_row(example, (Column("a", "double"), Column("b", "double"))) == {"a": 1, "b": None}


@pytest.mark.parametrize("example", [b"", b"[]", b"{}", b'{"inputs": [[1]]}', b'{"inputs": []}', b"\xff"])
def test_an_example_that_does_not_fit_fills_nothing(example):
    assert first_row(example, (Column("a", "double"), Column("b", "double"))) == {}


def test_values_stand_in_fields_as_people_write_them():
    assert [shown(value) for value in (None, float("nan"), True, 3.0, 0.25, 7, "UA")] == ["", "", "true", "3", "0.25", "7", "UA"]


def test_tensors_and_very_many_columns_are_asked_with_json():
    assert fits_a_form(Signature(inputs=INPUTS))
    assert not fits_a_form(Signature(tensors=(Tensor("x", "float32", (-1, 3)),)))
    assert not fits_a_form(Signature(inputs=tuple(Column(f"c{at}", "double") for at in range(81))))
