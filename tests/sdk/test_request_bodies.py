"""What tilth.predict and tilth.explain send of the rows that a program has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from tilth.core.names import slug_of
from tilth.sdk.request_bodies import InvalidRows, body_of

pandas = pytest.importorskip("pandas")


def sent(rows: Any) -> Any:
    return json.loads(body_of(rows))


def test_numbers_of_a_frame_keep_all_their_digits() -> None:
    values = [1e-18, 0.1 + 0.2, 123456789.123456789, 2.0**53]
    assert [row[0] for row in sent(pandas.DataFrame({"dose": values}))["dataframe_split"]["data"]] == values


def test_what_is_missing_in_a_frame_is_null_whatever_its_type() -> None:
    frame = pandas.DataFrame(
        {
            "number": [1.5, np.nan],
            "whole": pandas.array([1, None], dtype="Int64"),
            "flag": pandas.array([True, None], dtype="boolean"),
            "text": ["a", None],
            "kind": pandas.Categorical(["x", None]),
        }
    )
    assert sent(frame) == {
        "dataframe_split": {
            "columns": ["number", "whole", "flag", "text", "kind"],
            "data": [[1.5, 1, True, "a", "x"], [None] * 5],
        }
    }


def test_a_category_of_whole_numbers_is_sent_as_the_signature_has_it() -> None:
    frame = pandas.DataFrame({"month": pandas.Categorical([3, 12]), "day": [1, 2]})
    assert sent(frame)["dataframe_split"]["data"] == [["3", 1], ["12", 2]]


def test_a_frame_of_polars_needs_no_other_package_to_be_sent() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert sent(frame) == {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}}


@pytest.mark.parametrize(
    ("rows", "body"),
    [
        ([{"a": np.float64(1.5), "b": np.int64(2), "c": np.bool_(True)}], {"dataframe_records": [{"a": 1.5, "b": 2, "c": True}]}),
        ({"a": 1, "b": "x"}, {"dataframe_records": [{"a": 1, "b": "x"}]}),
        ({"a": np.ones((2, 1)), "b": [3, 4]}, {"inputs": {"a": [[1.0], [1.0]], "b": [3, 4]}}),
        ([[1, 2], [3, 4]], {"instances": [[1, 2], [3, 4]]}),
        ([np.array([1.0, 2.0])], {"instances": [[1.0, 2.0]]}),
        (np.array([[1.0, np.nan]]), {"instances": [[1.0, None]]}),
    ],
)
def test_rows_become_the_form_that_fits_them(rows: Any, body: Any) -> None:
    assert sent(rows) == body


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (pandas.DataFrame({"a": [1.0]}).iloc[0], "X.iloc"),
        ([{"a": object()}], "object"),
        ([], "non-empty"),
        ("a,b", "DataFrame"),
    ],
)
def test_what_no_request_can_be_made_of_is_refused_in_words(rows: Any, why: str) -> None:
    with pytest.raises(InvalidRows, match=why):
        body_of(rows)


@pytest.mark.parametrize(("model", "deployment"), [("Late Flights (EWR)", "late-flights-ewr"), ("a" * 62 + ".b", "a" * 62)])
def test_a_deployment_is_called_after_its_model(model: str, deployment: str) -> None:
    assert slug_of(model) == deployment
