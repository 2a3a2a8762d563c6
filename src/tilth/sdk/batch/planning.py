"""Which files there are to score, and in which pieces. The same files give the same chunks, whoever scores them and when."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tilth.core.errors import Invalid
from tilth.sdk.batch.errors import InvalidPlace, NothingToScore
from tilth.sdk.batch.places import Found, Place
from tilth.sdk.batch.tables import json_objects
from tilth.sdk.batch.work import Chunk
from tilth.wire.scoring import FileFormat

FORMATS: dict[str, FileFormat] = {
    "parquet": "parquet",
    "pq": "parquet",
    "csv": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
}
MAX_CHUNK_BYTES = 512 << 20
HEAD_BYTES = 1 << 20
BOM = b"\xef\xbb\xbf"


class UnreadableFile(Invalid):
    """A file is not of the format that its name says."""


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one job, all of one format. address: of the place they lie in. one: a file was named, not its folder."""

    address: str
    place: Place
    format: FileFormat
    files: tuple[Found, ...]
    one: bool

    @property
    def shown(self) -> str:
        return f"{self.place.shown}/{self.files[0].name}" if self.one else self.place.shown

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def format_of(name: str) -> FileFormat | None:
    return FORMATS.get(name.rpartition(".")[2].lower()) if "." in name else None


def source_of(address: str, place: Place, name: str, wanted: FileFormat | None) -> Source:
    """name: of one file in the place, or empty for all files of a folder. Names that begin with `_` or `.` are left out.

    Raises NothingToScore, InvalidPlace.
    """
    if name:
        found = place.find(name)
        files = [found] if found is not None else []
    else:
        files = [file for file in place.files() if not any(part[0] in "_." for part in file.name.split("/"))]
    shown = f"{place.shown}/{name}" if name else place.shown
    if not files:
        raise NothingToScore(
            f"there is no file at {shown}; give a Parquet, CSV or JSON-lines file, a folder of them, or s3://..."
        )
    formats = {file.name: wanted or format_of(file.name) for file in files}
    unknown = [each for each, kind in formats.items() if kind is None]
    if unknown:
        raise InvalidPlace(
            f"{unknown[0]} in {place.shown} does not say its format: name files .parquet, .csv or .jsonl, or give --in-format"
        )
    kinds = {kind for kind in formats.values() if kind is not None}
    if len(kinds) > 1:
        raise InvalidPlace(f"{shown} holds files of several formats ({', '.join(sorted(kinds))}); score them one by one")
    return Source(address, place, kinds.pop(), tuple(files), one=bool(name))


def columns_of(source: Source, file: Found) -> dict[str, object]:
    """Names of a file's columns; of a Parquet file with polars' types. Raises UnreadableFile."""
    where = f"{source.place.shown}/{file.name}"
    if source.format == "parquet":
        try:
            return dict(pl.scan_parquet(source.place.address(file.name), storage_options=source.place.options).collect_schema())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise UnreadableFile(f"{where} cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from error
    head = b"".join(source.place.pieces(file.name, 0, min(file.size, HEAD_BYTES)))
    if source.format == "csv":
        names, _ = _csv_head(head, where)
        return dict.fromkeys(names)
    objects, _ = json_objects(head.rpartition(b"\n")[0] if len(head) == HEAD_BYTES else head, 1)
    if head.strip() and not objects:
        raise UnreadableFile(
            f'{where} holds no JSON lines: each line is an object, such as {{"origin": "JFK", "distance": 187}}, with no list around '
            "them; pandas writes them by to_json(path, orient='records', lines=True)"
        )
    return {name: None for each in objects for name in each}


def chunks(source: Source, rows: int, suffix: str) -> Iterator[Chunk]:
    """At most `rows` rows each, in the order of the files. An input without any row gives one empty chunk."""
    number = 0
    for file in source.files:
        pieces = _row_ranges(source, file, rows) if source.format == "parquet" else _line_ranges(source, file, rows)
        for piece in pieces:
            yield _chunk(number, file, piece, suffix)
            number += 1
    if not number:
        file = source.files[0]
        columns = tuple(columns_of(source, file)) if source.format == "csv" else ()
        yield _chunk(0, file, _Range(0, 0, 1, 0, columns), suffix)


@dataclass(frozen=True, slots=True)
class _Range:
    """As in Chunk."""

    start: int
    end: int
    first: int
    bytes: int
    columns: tuple[str, ...] = ()


def _chunk(number: int, file: Found, piece: _Range, suffix: str) -> Chunk:
    return Chunk(
        number=number,
        file=file.name,
        start=piece.start,
        end=piece.end,
        first=piece.first,
        bytes=piece.bytes,
        part=f"part-{number:06d}.{suffix}",
        refused_part=f"_refused/part-{number:06d}.jsonl",
        columns=piece.columns,
    )


def _row_ranges(source: Source, file: Found, rows: int) -> Iterator[_Range]:
    scanned = pl.scan_parquet(source.place.address(file.name), storage_options=source.place.options)
    count = int(scanned.select(pl.len()).collect().item())
    for start in range(0, count, rows):
        end = min(count, start + rows)
        yield _Range(start, end, start + 1, file.size * (end - start) // count)


def _line_ranges(source: Source, file: Found, rows: int) -> Iterator[_Range]:
    """Byte ranges of whole rows. A line break within quotes of a CSV file ends no row."""
    where = f"{source.place.shown}/{file.name}"
    quoted = source.format == "csv"
    columns: tuple[str, ...] = ()
    begin, line = 0, 1
    if quoted:
        columns, begin = _csv_head(b"".join(source.place.pieces(file.name, 0, min(file.size, HEAD_BYTES))), where)
        line = 2
    start, first, seen, odd, position = begin, line, 0, False, begin
    for piece in source.place.pieces(file.name, begin, file.size):
        block = np.frombuffer(piece, dtype=np.uint8)
        breaks = np.flatnonzero(block == 10)
        lines = np.arange(1, len(breaks) + 1)
        if quoted:
            quotes = np.flatnonzero(block == 34)
            even = (np.searchsorted(quotes, breaks) + odd) % 2 == 0
            breaks, lines = breaks[even], lines[even]
            odd = (len(quotes) + odd) % 2 == 1
        for at in range(rows - seen - 1, len(breaks), rows):
            end = position + int(breaks[at]) + 1
            yield _Range(start, end, first, end - start, columns)
            start, first = end, line + int(lines[at])
        seen = (seen + len(breaks)) % rows
        position += len(piece)
        line += int((block == 10).sum())
        if position - start > MAX_CHUNK_BYTES:
            raise UnreadableFile(f"{where}: from line {first} on there is no end of a row for 512 MB; is a quote never closed?")
    if start < file.size:
        yield _Range(start, file.size, first, file.size - start, columns)


def _csv_head(head: bytes, where: str) -> tuple[tuple[str, ...], int]:
    """The names of the columns and where the first row begins."""
    text = head.removeprefix(BOM)
    end, odd = 0, False
    while True:
        found = text.find(b"\n", end)
        end = len(text) if found < 0 else found + 1
        odd = text.count(b'"', 0, end) % 2 == 1
        if found < 0 or not odd:
            break
    try:
        names: Sequence[str] = next(csv.reader([text[:end].decode().rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(f"the first line of {where} is no CSV head with the columns' names: {error}") from error
    if not names or not all(names) or len(set(names)) != len(names):
        raise UnreadableFile(
            f"the first line of {where} must name every column, each once; it has {', '.join(map(repr, names[:10]))}"
        )
    return tuple(names), end + len(head) - len(text)
