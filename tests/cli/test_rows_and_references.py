"""What is typed on the command line, as requests."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.cli.references import InvalidReference, ModelReference, parse_reference
from tilth.cli.rows import InvalidRows, request_of_csv, request_of_json


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('[{"a": 1}]', {"dataframe_records": [{"a": 1}]}),
        ('{"a": 1}', {"dataframe_records": [{"a": 1}]}),
        ("[[1, 2]]", {"instances": [[1, 2]]}),
        ('{"inputs": {"a": [1]}}', {"inputs": {"a": [1]}}),
        ("[]", {"dataframe_records": []}),
    ],
)
def test_json_rows_become_a_request(text: str, body: object) -> None:
    assert request_of_json(text, "--json-rows") == body


@pytest.mark.parametrize(
    "text", ["", "a", "[1]", '"a"', '[{"a": NaN}]', "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_what_holds_no_rows_is_refused_in_words(text: str | bytes) -> None:
    with pytest.raises(InvalidRows, match="stdin"):
        request_of_json(text, "stdin")


def test_csv_values_are_read_as_what_they_look_like() -> None:
    text = "n,x,ok,word,none\n1,2.5,true,JFK,\n-3,1e3,False,inf,NA\n"
    body = request_of_csv(text, "f.csv")["dataframe_split"]
    assert body == {
        "columns": ["n", "x", "ok", "word", "none"],
        "data": [[1, 2.5, True, "JFK", None], [-3, 1000.0, False, "inf", None]],
    }


def test_a_text_column_stays_text() -> None:
    assert request_of_csv("zip,n\n00501,1\n", "f.csv", ["zip"])["dataframe_split"]["data"] == [["00501", 1]]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_another_separator_than_the_comma_is_named(mark: str) -> None:
    with pytest.raises(InvalidRows, match=r"f\.csv is separated by"):
        request_of_csv(f"a{mark}b\n1{mark}2\n", "f.csv")


def test_a_short_line_is_named() -> None:
    with pytest.raises(InvalidRows, match="line 3 has 1 values, the head line names 2 columns"):
        request_of_csv("a,b\n1,2\n1\n", "f.csv")
    with pytest.raises(InvalidRows, match="head line"):
        request_of_csv("", "f.csv")


@given(st.lists(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), min_size=1))
def test_numbers_survive_the_way_through_csv(rows: list[list[float]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([["a", "b"], *rows])
    data = request_of_csv(stream.getvalue(), "f.csv")["dataframe_split"]["data"]
    assert all(
        math.isclose(x, y, rel_tol=0) for read, row in zip(data, rows, strict=True) for x, y in zip(read, row, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("flight-delay@champion", ModelReference("flight-delay", alias="champion")),
        ("flight-delay/3", ModelReference("flight-delay", version=3)),
        ("models:/team/x/12", ModelReference("team/x", version=12)),
        ("models:/a@b@c", ModelReference("a@b", alias="c")),
    ],
)
def test_a_reference_names_a_version_or_an_alias(text: str, reference: ModelReference) -> None:
    assert parse_reference(text) == reference
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize("text", ["", "x", "x@", "@y", "x/", "/1", "x/0", "x/-1", "x/²", "x/one"])
def test_a_reference_without_either_says_how_to_write_one(text: str) -> None:
    with pytest.raises(InvalidReference, match="@champion"):
        parse_reference(text)
