"""Labels from files, as a spreadsheet or a program writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars
import pytest

from tilth.cli.label_files import UnreadableLabels, rows_of_file

ROWS = [
    {"prediction_id": "0" * 31 + "1", "label": 1, "zip": "00123"},
    {"prediction_id": "0" * 31 + "2", "label": 0.5, "zip": "4"},
]


def test_a_csv_keeps_ids_and_keys_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "prediction_id,label,zip\n" + "".join(f"{row['prediction_id']},{row['label']},{row['zip']}\n" for row in ROWS)
    )
    assert list(rows_of_file(path, {})) == ROWS


def test_labels_of_a_csv_are_numbers_truths_or_words_and_what_is_missing_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("label,at,k\ntrue,1700000000000,1\nFalse,2026-01-31T05:00:00Z,2\nlate,,3\n,1,4\n1e3,NA,\n")
    assert list(rows_of_file(path, {})) == [
        {"label": True, "at": 1700000000000, "k": "1"},
        {"label": False, "at": "2026-01-31T05:00:00Z", "k": "2"},
        {"label": "late", "k": "3"},
        {"at": 1, "k": "4"},
        {"label": 1000.0},
    ]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_typed_files_keep_their_types(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    frame = polars.DataFrame({"prediction_id": ["a", "b"], "delayed": [True, None], "n": [1, 2]})
    frame.write_parquet(path) if kind == "parquet" else frame.write_ndjson(path)
    assert list(rows_of_file(path, {"delayed": "label"})) == [
        {"prediction_id": "a", "label": True, "n": 1},
        {"prediction_id": "b", "n": 2},
    ]


def test_moments_of_a_parquet_file_keep_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    polars.DataFrame({"label": [1], "at": [datetime(2026, 1, 31, 5, tzinfo=UTC)]}).write_parquet(path)
    assert list(rows_of_file(path, {})) == [{"label": 1, "at": "2026-01-31T05:00:00+00:00"}]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.xlsx", b"", "neither .csv nor .parquet nor .jsonl"),
        ("a.parquet", b"nothing", "does not read as parquet"),
        ("a.csv", b"x,y\n1,2\n", "no column `label`; its columns are x, y"),
        ("a.csv", b"", "does not read as csv"),
        ("a.jsonl", b"{", "does not read as jsonl"),
    ],
)
def test_a_file_without_labels_is_refused_in_words(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableLabels, match=why):
        list(rows_of_file(path, {}))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableLabels, match=r"nowhere\.csv"):
        list(rows_of_file(tmp_path / "nowhere.csv", {}))
