"""A profile of a data set, as the client writes it, in words."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tilth.domains.models.rules.data_words import profile_in_words
from tilth.sdk.datasets import describe


def test_a_frame_is_told_by_its_rows_columns_and_worst_gaps() -> None:
    frame = pd.DataFrame({"hour": range(1000), "gust": [None] * 780 + [1.0] * 220, "wind": [None] * 7 + [1.0] * 993})
    profile = describe("flights", frame, None, "").profile
    assert profile_in_words(profile) == "1,000 rows, 3 columns; missing values in 2 columns: gust 78%, wind 0.7%"


def test_more_than_three_gaps_are_counted() -> None:
    columns = [{"name": name, "missing": 50} for name in "abcde"]
    told = profile_in_words(json.dumps({"rows": 100, "columns": columns}))
    assert told == "100 rows, 5 columns; missing values in 5 columns: a 50%, b 50%, c 50% and 2 more"


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("", ""),
        ('{"rows": 1}', "1 row"),
        ('{"files": 3, "bytes": 4096}', "3 files, 4,096 bytes"),
        ('{"num_rows": 12, "num_elements": 36}', "12 rows"),
        ('{"rows": 2, "columns": [{"name": "a", "missing": 0}]}', "2 rows, 1 column; no missing values"),
        ('{"mean": 3}', '{"mean": 3}'),
        ("not JSON", "not JSON"),
        ('{"rows": "many", "columns": 7}', '{"rows": "many", "columns": 7}'),
        ('{"rows": 5, "columns": [7, null]}', "5 rows, 2 columns; no missing values"),
    ],
)
def test_other_profiles_are_told_as_far_as_they_are_known(profile: str, told: str) -> None:
    assert profile_in_words(profile) == told


def test_a_long_unknown_profile_is_cut() -> None:
    assert len(profile_in_words("x" * 5000)) == 200
