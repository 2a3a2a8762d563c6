"""What is told to a process that scores, and what it answers. Plain values: they cross a pipe, or a Ray cluster."""

from __future__ import annotations

import msgspec

from tilth.wire.scoring import FileFormat, OnBadRow, ScoredPart


class ScoringWork(msgspec.Struct, frozen=True):
    """The same for every chunk. folder: of the model; seal: digest that its files must have. source, target: addresses of places.

    keep: input columns that the output carries, in order. batch_rows: at most so many rows are scored at once.
    """

    folder: str
    seal: str
    version: str
    source: str
    source_format: FileFormat
    target: str
    target_format: FileFormat
    keep: tuple[str, ...]
    on_bad_row: OnBadRow
    batch_rows: int


class Chunk(msgspec.Struct, frozen=True):
    """Rows of one input file: rows `start` to before `end` of a Parquet file, those bytes of a text file.

    number: in the input's order. first: number of its first row from 1 (Parquet), or of its first line (text). columns: a CSV file's head.
    bytes: its share of the input, for the progress. part, refused_part: names of what it becomes.
    """

    number: int
    file: str
    start: int
    end: int
    first: int
    bytes: int
    part: str
    refused_part: str
    columns: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """Of one chunk: `part`, or an error. kind: of tilth.core.errors; chunk: the one asked for."""

    chunk: Chunk
    part: ScoredPart | None = None
    kind: str = ""
    error: str = ""


class Ready(msgspec.Struct, frozen=True):
    """A process has loaded the model, or could not."""

    engine: str = ""
    kind: str = ""
    error: str = ""
