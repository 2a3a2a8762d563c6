"""Requests become arrays by the signature, and a request that does not fit says where and why."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import Invalid
from tilth.plane.encoding import Encoder
from tilth.plane.forms import read_form
from tilth.wire.signature import Column, Signature

AIRPORTS = ("EWR", "JFK", "LGA")
SIGNATURE = Signature(
    inputs=(
        Column("wind", "double", nullable=True),
        Column("hour", "long"),
        Column("late", "boolean"),
        Column("origin", "string", categories=AIRPORTS),
        Column("dest", "string", categories=("ATL", "BOS"), nullable=True, unseen="missing"),
    ),
    outputs=(Column("probability", "double"),),
)
NAMES = [column.name for column in SIGNATURE.inputs]
ENCODER = Encoder(SIGNATURE)
GOOD = [1.5, 7, True, "JFK", "ATL"]

rows = st.tuples(
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.sampled_from(AIRPORTS),
    st.none() | st.sampled_from(["ATL", "BOS", "XYZ"]),
).map(list)
tables = st.lists(rows, max_size=6)


def expected(table: list[list[Any]]) -> np.ndarray:
    dests = {"ATL": 0.0, "BOS": 1.0}
    coded = [
        [
            math.nan if wind is None else float(wind),
            float(hour),
            float(late),
            float(AIRPORTS.index(origin)),
            dests.get(dest, math.nan),
        ]
        for wind, hour, late, origin, dest in table
    ]
    return np.array(coded, dtype=np.float64).reshape(len(table), 5)


def body(**form: Any) -> bytes:
    return json.dumps(form).encode()


def records(table: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(NAMES, row, strict=True)) for row in table]


@given(tables, st.permutations(range(5)))
def test_every_form_and_order_of_columns_gives_the_same_array(table: list[list[Any]], order: list[int]) -> None:
    shuffled = {"columns": [NAMES[at] for at in order], "data": [[row[at] for at in order] for row in table]}
    columns = {name: [row[at] for row in table] for at, name in enumerate(NAMES)}
    bodies = [
        body(instances=table),
        body(inputs=table, params={"ignored": 1}),
        body(instances=records(table)),
        body(dataframe_records=records(table)),
        body(dataframe_split=shuffled),
        body(dataframe_split={**shuffled, "index": list(range(len(table)))}),
        body(instances=columns),
        body(inputs=columns),
    ]
    for sent in bodies:
        encoded = ENCODER.encode(read_form(sent))
        np.testing.assert_array_equal(encoded, expected(table))
        assert encoded.shape == (len(table), 5)
        assert encoded.flags.c_contiguous


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "columns", "data", "x"]), inner, max_size=5)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["instances", "inputs", "dataframe_split", "dataframe_records", "params", "x"]), json_values)
)
def test_any_json_is_encoded_or_refused_as_invalid(document: dict[str, Any]) -> None:
    try:
        encoded = ENCODER.encode(read_form(json.dumps(document).encode()))
    except Invalid:
        return
    assert encoded.ndim == 2
    assert encoded.shape[1] == 5


@given(st.binary(max_size=60))
def test_any_bytes_are_encoded_or_refused_as_invalid(sent: bytes) -> None:
    with pytest.raises(Invalid):
        ENCODER.encode(read_form(sent))


@given(tables.filter(bool), st.data())
def test_one_bad_value_is_named_by_column_and_row(table: list[list[Any]], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(table) - 1))
    column = data.draw(st.integers(0, 4))
    table[row][column] = data.draw(st.sampled_from([[1], {"a": 1}]))
    with pytest.raises(Invalid, match=f"column '{NAMES[column]}', row {row}: expected"):
        ENCODER.encode(read_form(body(instances=table)))


def changed(column: str, value: Any) -> bytes:
    row = dict(zip(NAMES, GOOD, strict=True))
    row[column] = value
    return body(dataframe_records=[dict(zip(NAMES, GOOD, strict=True)), row])


REFUSED = {
    "a string where a number is due": (
        changed("wind", "5"),
        "wrong_type",
        "column 'wind', row 1: expected a number, got the string \"5\"",
    ),
    "a boolean where a number is due": (changed("wind", True), "wrong_type", "expected a number, got the boolean true"),
    "a fraction where a whole number is due": (changed("hour", 7.5), "wrong_type", "expected a whole number, got the number 7.5"),
    "a number beyond exactness": (changed("hour", 2**53 + 1), "wrong_type", "beyond 2**53"),
    "a number beyond float64": (changed("wind", 10**400), "wrong_type", "column 'wind', row 1: the number is too large"),
    "a number where a boolean is due": (changed("late", 1), "wrong_type", "expected true or false, got the number 1"),
    "a number where a category is due": (changed("origin", 3), "wrong_type", "expected a string, got the number 3"),
    "a huge number where a category is due": (changed("origin", 10**400), "wrong_type", "expected a string, got the number 1000"),
    "null where none was in training": (
        changed("hour", None),
        "null_value",
        "column 'hour', row 1: expected a whole number, got null",
    ),
    "null for a category": (changed("origin", None), "null_value", "column 'origin', row 1"),
    "a category near a known one": (
        changed("origin", "JFX"),
        "unseen_category",
        "'JFX' was not seen in training; known are 'JFK' and 2 more",
    ),
    "a category far from all": (changed("origin", "?"), "unseen_category", "known are 'EWR', 'JFK', 'LGA'"),
    "a misspelt column": (body(inputs={**{name: [1] for name in NAMES}, "wnd": [1]}), "extra_column", "did you mean 'wind'?"),
    "a missing column": (
        body(inputs={name: [1] for name in NAMES[1:]}),
        "missing_column",
        "column 'wind' is missing; the model takes",
    ),
    "a record that lacks a column": (body(instances=[dict(zip(NAMES, GOOD, strict=True)), {}]), "missing_column", "in row 1"),
    "a column given twice": (
        body(dataframe_split={"columns": [*NAMES, "wind"], "data": [[*GOOD, 1]]}),
        "extra_column",
        "column 'wind' is given twice",
    ),
    "too few values": (body(instances=[GOOD, GOOD[:3]]), "wrong_width", "row 1 has 3 values, the model takes 5"),
    "a split row of another width": (
        body(dataframe_split={"columns": NAMES, "data": [GOOD[:2]]}),
        "wrong_width",
        "row 0 has 2 values",
    ),
    "columns of different length": (
        body(inputs={**{name: [1] for name in NAMES}, "hour": []}),
        "wrong_width",
        "different lengths",
    ),
    "rows of different kinds": (body(instances=[GOOD, {}]), "invalid_body", "row 1 is an object"),
    "a row that is a number": (body(instances=[GOOD, 1]), "invalid_body", "row 1 is a number"),
    "no form": (body(), "invalid_body", "exactly one of"),
    "two forms": (body(instances=[], inputs=[]), "invalid_body", "it has instances, inputs"),
    "an unknown field": (body(instances=[], intsances=[]), "invalid_body", "field 'intsances' is unknown"),
    "a list": (b"[]", "invalid_body", "not a list"),
    "not JSON": (b'{"instances": [', "invalid_body", "not valid JSON"),
    "NaN": (b'{"instances": [[NaN]]}', "invalid_body", "send null for a missing value"),
    "bad UTF-8": (b'{"instances": [["\xff"]]}', "invalid_body", "not valid JSON"),
    "deep nesting": (b'{"instances": ' + b"[" * 100_000, "invalid_body", "nested too deeply"),
}


@pytest.mark.parametrize(("sent", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_request_that_does_not_fit_says_why(sent: bytes, code: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        ENCODER.encode(read_form(sent))
    assert caught.value.code == code
    assert message in str(caught.value)


def test_a_number_that_names_a_category_is_refused_with_what_to_send() -> None:
    months = Encoder(Signature(inputs=(Column("month", "string", categories=("3", "12")),), outputs=()))
    with pytest.raises(Invalid, match='got the number 12; its categories are text, numbers too: send "12"'):
        months.encode(read_form(body(instances=[[12]])))


def test_a_model_of_one_input_takes_lists_and_records() -> None:
    single = Encoder(Signature(inputs=(Column("x", "double"),), outputs=()))
    for sent in (body(instances=[[1], [2]]), body(dataframe_records=[{"x": 1}, {"x": 2}]), body(inputs={"x": [1, 2]})):
        np.testing.assert_array_equal(single.encode(read_form(sent)), [[1.0], [2.0]])


@pytest.mark.parametrize(
    "inputs",
    [(), (Column("x", "double"), Column("x", "double")), (Column("x", "string"),)],
    ids=["none", "twice", "no vocabulary"],
)
def test_a_signature_that_cannot_be_encoded_is_refused_at_once(inputs: tuple[Column, ...]) -> None:
    with pytest.raises(Invalid, match="log the model again"):
        Encoder(Signature(inputs=inputs, outputs=()))
