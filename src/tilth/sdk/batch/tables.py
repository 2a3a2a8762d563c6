"""One chunk of a file as a table. Text stays text here: what a column means is for the signature to say, not for its first rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.sdk.batch.places import Place
from tilth.sdk.batch.work import Chunk
from tilth.wire.scoring import FileFormat


class DamagedRows(Invalid):
    """A part of a file that cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Piece:
    """frame: the wanted columns. places: of each row its number in the file (Parquet) or its line (text), from 1.

    textual: values are text that must be read as what the signature says (CSV). broken: place -> why that row could not be read.
    """

    frame: pl.DataFrame
    places: NDArray[np.int64]
    textual: bool
    broken: dict[int, str] = field(default_factory=dict)


def read_piece(place: Place, kind: FileFormat, chunk: Chunk, columns: Sequence[str]) -> Piece:
    """columns: the wanted ones that the file has. Raises DamagedRows."""
    if kind == "parquet":
        return _parquet(place, chunk, columns)
    data = b"".join(place.pieces(chunk.file, chunk.start, chunk.end))
    return _csv(data, chunk, columns) if kind == "csv" else _jsonl(data, chunk, columns)


def _parquet(place: Place, chunk: Chunk, columns: Sequence[str]) -> Piece:
    scanned = pl.scan_parquet(place.address(chunk.file), storage_options=place.options)
    try:
        frame = scanned.slice(chunk.start, chunk.end - chunk.start).select(list(columns)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DamagedRows(f"{chunk.file}, rows {chunk.first} on, cannot be read: {str(error).splitlines()[0][:200]}") from error
    return Piece(frame, np.arange(chunk.first, chunk.first + len(frame)), textual=False)


def _csv(data: bytes, chunk: Chunk, columns: Sequence[str]) -> Piece:
    """Every value as text. polars reads what is plain; quotes, blank lines and rows of another width are Python's to read."""
    width = len(chunk.columns)
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    plain = b'"' not in data and b"\n\n" not in data and b"\n\r\n" not in data and not data.startswith((b"\n", b"\r\n"))
    if plain and data and width > 1 and data.count(b",") == lines * (width - 1):
        try:
            frame = pl.read_csv(io.BytesIO(data), has_header=False, new_columns=list(chunk.columns), infer_schema=False).select(
                list(columns)
            )
        except pl.exceptions.PolarsError:
            frame = None  # Some rows are too long and as many too short: looked at one by one below.
        if frame is not None and len(frame) == lines:
            return Piece(frame, np.arange(chunk.first, chunk.first + len(frame)), textual=True)
    return _csv_row_by_row(data, chunk, columns)


def _csv_row_by_row(data: bytes, chunk: Chunk, columns: Sequence[str]) -> Piece:
    width = len(chunk.columns)
    rows, places, broken = [], [], {}
    at = chunk.first
    try:
        reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        for row in reader:
            if row and len(row) == width:
                rows.append(row)
                places.append(at)
            elif row:
                broken[at] = f"the row has {len(row)} values, the head names {width} columns"
            at = chunk.first + reader.line_num
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedRows(f"{chunk.file}, line {at} or below, is not CSV in UTF-8: {error}") from error
    wanted = {name: chunk.columns.index(name) for name in columns}
    texts = list(zip(*rows, strict=True)) or [()] * width
    frame = pl.DataFrame({name: pl.Series(name, texts[index], dtype=pl.String) for name, index in wanted.items()})
    return Piece(frame, np.array(places, dtype=np.int64), textual=True, broken=broken)


def _jsonl(data: bytes, chunk: Chunk, columns: Sequence[str]) -> Piece:
    objects, broken = json_objects(data, chunk.first)
    lines = [line for line, text in enumerate(data.split(b"\n"), chunk.first) if text.strip() and line not in broken]
    values = {name: [each.get(name) for each in objects] for name in columns}
    return Piece(_series(values), np.array(lines, dtype=np.int64), textual=False, broken=broken)


def json_objects(data: bytes, first: int) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """One object per line, and line -> why where there is none. first: number of the first line."""
    decode = msgspec.json.Decoder().decode
    objects, broken = [], {}
    for line, text in enumerate(data.split(b"\n"), first):
        if not text.strip():
            continue
        try:
            found = decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            broken[line] = f"the line is not JSON: {error}"
            continue
        if isinstance(found, dict):
            objects.append(found)
        else:
            broken[line] = 'the line is not a JSON object, such as {"origin": "JFK", "distance": 187}'
    return objects, broken


def _series(values: dict[str, list[Any]]) -> Any:
    """Columns of one kind become such columns; what is mixed stays Python objects, so that each value can be judged."""
    made = []
    for name, column in values.items():
        kinds = set(map(type, column)) - {type(None)}
        if kinds <= {int, float}:
            if any(type(value) is int and not -(1 << 63) <= value < 1 << 63 for value in column):
                made.append(pl.Series(name, [None if value is None else float(value) for value in column], dtype=pl.Float64))
            else:
                made.append(pl.Series(name, column, dtype=pl.Int64 if kinds == {int} else pl.Float64, strict=False))
        elif kinds == {str} or kinds == {bool}:
            made.append(pl.Series(name, column))
        elif kinds == {list}:
            made.append(_lists(name, column))
        else:
            made.append(pl.Series(name, column, dtype=pl.Object))
    return pl.DataFrame(made)


def _lists(name: str, column: list[Any]) -> Any:
    try:
        return pl.Series(name, column, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, column, dtype=pl.Object)
