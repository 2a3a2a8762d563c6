"""Tables in the bodies of requests that are no JSON: CSV with a header line, and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from tilth.core.errors import Invalid
from tilth.plane.answers import UnsupportedMediaType
from tilth.plane.forms import InvalidBody, Table, WrongWidth
from tilth.wire.signature import Column, Signature

MOST_FIELD_CHARACTERS = 1 << 20
LEAST_BYTES_PER_CELL = 0.05
"""Of a Parquet file: one that promises more cells than this is refused, since its few bytes would become gigabytes."""
MOST_FREE_CELLS = 100_000
_TRUTHS = {"true": True, "false": False}


class InvalidTable(Invalid):
    """A CSV or Parquet body cannot be read."""


def read_csv(body: bytes, signature: Signature) -> Table:
    """The first line names the columns. An empty cell is null, but in a column of free text an empty string.

    Raises InvalidBody, InvalidTable and WrongWidth. Cells become the types of their columns; what does not stays text, and is refused
    with its column and row when the table is encoded.
    """
    if signature.tensors:
        raise InvalidTable("this model takes tensors, which CSV cannot carry; send JSON or use the v2 protocol")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidBody(f"the CSV is not UTF-8: {error.reason} at byte {error.start}") from error
    if "\x00" in text:
        raise InvalidTable("the CSV holds NUL characters; send text")
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise InvalidTable(f"the CSV cannot be read: {error}") from error
    if not lines:
        raise InvalidTable("the CSV is empty; its first line must name the columns")
    names, rows = tuple(lines[0]), lines[1:]
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise WrongWidth(f"CSV row {number} has {len(row)} cells for {len(names)} columns")
    types = {column.name: _cell_of(column) for column in signature.inputs}
    cells = [types.get(name, str) for name in names]
    return Table(rows=[[cell(text) for cell, text in zip(cells, row, strict=True)] for row in rows], names=names)


def read_parquet(body: bytes) -> Table:
    """Raises InvalidTable, and UnsupportedMediaType where pyarrow is not installed."""
    try:
        import pyarrow as arrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise UnsupportedMediaType("Parquet needs pyarrow, which is not installed here; send JSON or CSV") from error
    try:
        file = parquet.ParquetFile(arrow.BufferReader(body))
        cells = file.metadata.num_rows * max(1, file.metadata.num_columns)
        if cells > max(MOST_FREE_CELLS, len(body) / LEAST_BYTES_PER_CELL):
            raise InvalidTable(
                f"the Parquet file has {len(body)} bytes and says {cells} cells; send the rows in several requests"
            )
        names = file.schema_arrow.names
        # Texts as dictionaries: a long one that stands in each row is then held once.
        texts = [
            field.name for field in file.schema_arrow if arrow.types.is_string(field.type) or arrow.types.is_binary(field.type)
        ]
        file = parquet.ParquetFile(arrow.BufferReader(body), read_dictionary=texts)
        table = file.read(use_threads=False)
        return Table(columns={name: _values(column) for name, column in zip(names, table.columns, strict=True)})
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise InvalidTable(f"the Parquet file cannot be read: {str(error)[:200]}") from error


def _cell_of(column: Column) -> Callable[[str], Any]:
    match column.type:
        case "string" if column.categories is None:
            return str
        case "string":
            return lambda text: text or None
        case "boolean":
            return lambda text: _TRUTHS.get(text.strip().lower(), text or None)
        case _:
            return _number


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return text or None
    # NaN is how pandas writes "missing"; infinity stays text and is refused as such.
    return None if value != value else value if abs(value) != float("inf") else text


def _values(column: Any) -> list[Any]:
    """Python values of a chunked column; NaN is missing."""
    values: list[Any] = []
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            known = chunk.dictionary.to_pylist()
            values += [None if at is None else known[at] for at in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    return [None if value != value else value for value in values]
