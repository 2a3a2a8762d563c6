"""Rows come out of a file by reading no more of it than they need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tilth.domains.serving.jobs.prediction_rows import Wanted, answers_of, rows_of
from tilth.domains.serving.types.predictions import PredictionsUnreadable
from tilth.plane.shipping.rows import GROUP_ROWS, written

NOON = 1_772_366_400_000
GROUPS = 4


def id_of(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """One prediction a second, in four groups of rows; every tenth is of version 2."""
    count = GROUPS * GROUP_ROWS
    start = datetime.fromtimestamp(NOON / 1000, UTC)
    return pl.DataFrame(
        {
            "prediction_id": [id_of(number) for number in range(count)],
            "row": pl.Series([0] * count, dtype=pl.Int32),
            "at": pl.Series([start + timedelta(seconds=number) for number in range(count)], dtype=pl.Datetime("us", "UTC")),
            "model": ["frost"] * count,
            "version": pl.Series([2 if number % 10 == 0 else 1 for number in range(count)], dtype=pl.Int32),
            "shadow": [False] * count,
            "request_id": [""] * count,
            "route_key_hash": [""] * count,
            "protocol": ["mlflow"] * count,
            "latency_us": [1500] * count,
            "sample_weight": [1.0] * count,
            "in_wind": [float(number) for number in range(count)],
            "out_frost": [number / count for number in range(count)],
        }
    )


@pytest.fixture
def file(frame: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "file.parquet"
    path.write_bytes(written(frame.sample(fraction=1.0, shuffle=True, seed=3)))
    return path


def spoil_half(path: Path, *, first: bool) -> None:
    """Nothing can be read of the rows in one half of the file; its head and foot are whole."""
    content = bytearray(path.read_bytes())
    foot = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    start, end = (4, foot // 2 - 4096) if first else (foot // 2 + 4096, foot)
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


def test_the_newest_rows_come_first_page_by_page(file: Path) -> None:
    count = GROUPS * GROUP_ROWS
    for offset in (0, 5, GROUP_ROWS - 2):
        rows = rows_of("f", file, Wanted(offset=offset, limit=5))
        assert [row.inputs["wind"] for row in rows] == [count - 1 - offset - place for place in range(5)]
    assert rows_of("f", file, Wanted(offset=count)) == []


def test_bounds_and_versions_choose_rows(file: Path) -> None:
    rows = rows_of("f", file, Wanted(since=NOON + 100_000, until=NOON + 130_000, versions=[2]))
    assert [row.at for row in rows] == [NOON + 120_000, NOON + 110_000, NOON + 100_000]


def test_one_prediction_and_the_newest_rows_need_no_other_groups(file: Path) -> None:
    last = GROUPS * GROUP_ROWS - 1
    spoil_half(file, first=True)
    assert [row.inputs["wind"] for row in rows_of("f", file, Wanted(prediction_id=id_of(last - 100)))] == [last - 100]
    assert len(rows_of("f", file, Wanted(since=NOON + (last - 9) * 1000))) == 10
    with pytest.raises(PredictionsUnreadable):
        rows_of("f", file, Wanted(prediction_id=id_of(5)))


def test_an_old_prediction_needs_no_newer_groups(file: Path) -> None:
    spoil_half(file, first=False)
    assert rows_of("f", file, Wanted(prediction_id=id_of(5)))[0].outputs == {"frost": 5 / (GROUPS * GROUP_ROWS)}


def test_answers_are_read_without_inputs(file: Path) -> None:
    found = answers_of("f", file, Wanted(limit=3))
    assert found.columns == ["prediction_id", "row", "at", "version", "latency_us", "out_frost"]
    assert found["at"].to_list() == sorted(found["at"].to_list(), reverse=True)
