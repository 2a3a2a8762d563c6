"""However a file is cut into chunks, the chunks together hold its rows, each once and in order."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilth.sdk.batch.places import LocalPlace
from tilth.sdk.batch.planning import UnreadableFile, chunks, columns_of, source_of
from tilth.sdk.batch.tables import read_piece

UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6) | st.sampled_from(['"', "\n", ',"\n"', "a,b"])
ROW = st.tuples(CELL, CELL, st.integers(0, 999).map(str)).filter(any)


class SmallPieces(LocalPlace):
    """Gives a file in pieces of a few bytes, so that every kind of boundary falls between two of them."""

    def pieces(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        whole = b"".join(super().pieces(name, start, end))
        for at in range(0, len(whole), 5):
            yield whole[at : at + 5]


def read_in_chunks(data: bytes, name: str, rows: int) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        place = SmallPieces(Path(folder))
        source = source_of(folder, place, name, None)
        found = list(chunks(source, rows, "csv"))
        assert [chunk.number for chunk in found] == list(range(len(found)))
        columns = found[0].columns or ("a", "b", "n")
        return [read_piece(place, source.format, chunk, columns) for chunk in found]


@UNHURRIED
@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_rows_of_csv(rows: list[tuple[str, str, str]], most: int, ending: str, ends: bool) -> None:
    into = io.StringIO(newline="")
    csv.writer(into, lineterminator=ending).writerows([("a", "b", "n"), *rows])
    text = into.getvalue()
    pieces = read_in_chunks((text if ends else text[: -len(ending)]).encode(), "in.csv", most)
    frame = pl.concat([piece.frame for piece in pieces])
    got = [tuple(value or "" for value in row) for row in frame.rows()]
    assert got == rows
    assert all(not piece.broken for piece in pieces)
    assert all(len(piece.frame) <= most for piece in pieces)


@UNHURRIED
@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 8))
def test_rows_of_json_lines(rows: list[tuple[str, str, str]], most: int) -> None:
    text = "".join(json.dumps({"a": a, "b": b, "n": int(n)}) + "\n" for a, b, n in rows)
    pieces = read_in_chunks(text.encode(), "in.jsonl", most)
    got = [row for piece in pieces for row in piece.frame.rows()]
    assert got == [(a, b, int(n)) for a, b, n in rows]
    assert [line for piece in pieces for line in piece.places.tolist()] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_json_objects_is_told_from_json_lines(tmp_path: Path, indent: int | None) -> None:
    (tmp_path / "in.json").write_text(json.dumps([{"a": 1.0}, {"a": 2.0}], indent=indent))
    source = source_of(str(tmp_path), LocalPlace(tmp_path), "in.json", None)
    with pytest.raises(UnreadableFile, match="holds no JSON lines"):
        columns_of(source, source.files[0])
