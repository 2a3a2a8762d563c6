"""Digests and profiles of data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tilth.sdk.capture import masked
from tilth.sdk.datasets import describe
from tilth.sdk.errors import UnknownData
from tilth.sdk.installed import without_credentials


def digest(data: Any) -> str:
    return describe("d", data, None, "").digest


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"n": [1.0, np.nan, 3.0], "s": ["a", "b", "a"], **columns})


def test_equal_frames_have_equal_digests_whatever_their_index() -> None:
    assert digest(frame()) == digest(frame().set_index(pd.Index([7, 8, 9])))
    assert digest(frame()) == digest(frame().copy(deep=True))


@pytest.mark.parametrize(
    "other",
    [
        frame(n=[1.0, np.nan, 4.0]),
        frame(s=["a", "b", "c"]),
        frame().rename(columns={"n": "m"}),
        frame()[["s", "n"]],
        frame().iloc[::-1],
        frame().head(2),
        frame(n=pd.Series([1.0, np.nan, 3.0], dtype="float32")),
        frame(x=1),
    ],
)
def test_another_value_name_order_or_type_gives_another_digest(other: pd.DataFrame) -> None:
    assert digest(frame()) != digest(other)


def test_a_frame_is_profiled_column_by_column() -> None:
    described = describe("d", frame(c=pd.Categorical(["x", "y", "x"])), "somewhere", "training")
    assert (described.source_type, described.source, described.context) == ("frame", "somewhere", "training")
    assert [column["name"] for column in json.loads(described.schema)] == ["n", "s", "c"]
    assert json.loads(described.profile) == {
        "rows": 3,
        "columns": [
            {"name": "n", "missing": 1, "mean": 2.0, "min": 1.0, "max": 3.0},
            {"name": "s", "missing": 0, "distinct": 2},
            {"name": "c", "missing": 0, "distinct": 2},
        ],
    }


def test_arrays_differ_by_shape_and_type() -> None:
    array = np.arange(6.0)
    assert digest(array) == digest(np.arange(6.0).astype(">f8"))
    assert len({digest(array), digest(array.reshape(2, 3)), digest(array.astype("f4")), digest(array + 1)}) == 4
    assert digest(np.array(["a", "b"], dtype=object)) == digest(np.array(["a", "b"], dtype=object))


def test_files_and_folders_are_addressed_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1,2\n")
    assert digest(tmp_path / "a.csv") == digest(str(tmp_path / "a.csv")) == hashlib.sha256(b"1,2\n").hexdigest()
    before = digest(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"")
    assert digest(tmp_path) != before
    assert digest(b"1,2\n") == hashlib.sha256(b"1,2\n").hexdigest()
    assert digest({"b": 1, "a": [1]}) == digest({"a": [1], "b": 1})


def test_what_has_no_content_is_refused() -> None:
    with pytest.raises(UnknownData, match="no digest can be taken of a object"):
        digest(object())
    with pytest.raises(UnknownData, match="no file or folder"):
        digest("no such file")


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://anna:pw@example.org/x.git", "https://example.org/x.git"),
        ("https://token@example.org:8443/x.git", "https://example.org:8443/x.git"),
        ("git@example.org:x.git", "git@example.org:x.git"),
        ("ssh://git@example.org/x.git", "ssh://example.org/x.git"),
        ("", ""),
    ],
)
def test_credentials_are_taken_off_a_remote(remote: str, shown: str) -> None:
    assert without_credentials(remote) == shown


def test_arguments_that_look_like_secrets_are_masked() -> None:
    given = ["--token", "abc", "--secret=x", "--depth", "7", "password"]
    assert masked(given) == ["--token", "***", "--secret=***", "--depth", "7", "password"]
    token = "tilth_abcdefgh_" + "a1-_" * 10 + "abc"
    assert masked(["train.py", token, f"url={token}&x"]) == ["train.py", "***", "url=***&x"]
