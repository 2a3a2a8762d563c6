"""Tables in the bodies of requests that are no JSON: CSV with a header line, and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from tilth.core.errors import Invalid
from tilth.plane.columns import Picker
from tilth.plane.forms import InvalidBody, Table, WrongWidth
from tilth.plane.problems import WrongType
from tilth.wire.signature import Column, Signature

LEAST_BYTES_PER_CELL = 0.05
"""Of a Parquet file: one that promises more cells than this is refused, since its few bytes would become gigabytes."""
MOST_FREE_CELLS = 100_000
ROWS_AT_ONCE = 1000
"""Of a CSV: its cells as text and as values of so many rows are in memory together."""
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
    lines = _lines_of(text)
    names = tuple(next(lines, ()))
    if not names:
        raise InvalidTable("the CSV is empty; its first line must name the columns")
    Picker(signature.inputs).check_names(names)
    cells = {column.name: _cell_of(column) for column in signature.inputs}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    done = 0
    while rows := list(islice(lines, ROWS_AT_ONCE)):
        for number, row in enumerate(rows, done):
            if len(row) != len(names):
                raise WrongWidth(f"CSV row {number} has {len(row)} cells for {len(names)} columns")
        for name, texts in zip(names, zip(*rows, strict=True), strict=True):
            columns[name].extend(map(cells[name], texts))
        done += len(rows)
    return Table(columns=columns)


def _lines_of(text: str) -> Iterator[list[str]]:
    try:
        yield from filter(None, csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InvalidTable(f"the CSV cannot be read: {error}") from error


def read_parquet(body: bytes, signature: Signature) -> Table:
    """NaN is missing. Raises InvalidTable and WrongType.

    Columns that the model does not take, or not as text, are refused by the file's schema: a few bytes of it can be a text of gigabytes.
    """
    # Imported late: only those who send Parquet pay for it.
    import polars
    from polars import selectors
    from polars.exceptions import PolarsError

    try:
        schema = polars.read_parquet_schema(io.BytesIO(body))
        for name, kind in schema.items():
            if kind.is_nested() or kind == polars.Binary:
                raise InvalidTable(f"column {name!r} of the Parquet file holds {kind}; send numbers, booleans and text")
        _check_columns(schema, signature)
        rows = polars.scan_parquet(io.BytesIO(body)).select(polars.len()).collect().item()
        cells = rows * max(1, len(schema))
        if cells > max(MOST_FREE_CELLS, len(body) / LEAST_BYTES_PER_CELL):
            raise InvalidTable(
                f"the Parquet file has {len(body)} bytes and says {cells} cells; send the rows in several requests"
            )
        frame = polars.read_parquet(io.BytesIO(body)).fill_nan(None)
        for column in frame.select(selectors.float()):
            if (infinite := column.is_infinite()).any():
                raise WrongType(f"column {column.name!r}, row {infinite.arg_max()}: infinity is no number that the model takes")
        return Table(columns={column.name: column.to_list() for column in frame})
    except (PolarsError, OSError, ValueError) as error:
        raise InvalidTable(f"the Parquet file cannot be read: {str(error)[:200]}") from error


def _check_columns(schema: Mapping[str, Any], signature: Signature) -> None:
    """schema: of the file, names to polars types. Columns that are missing are told when the table is encoded."""
    types = {column.name: column.type for column in signature.inputs}
    for name, kind in schema.items():
        if name not in types:
            raise InvalidTable(f"column {name[:80]!r} of the Parquet file is no input of the model; remove or rename it")
        if types[name] != "string" and not (kind.is_numeric() or str(kind) in ("Boolean", "Null")):
            raise InvalidTable(f"column {name[:80]!r} of the Parquet file holds {kind}; the model takes {types[name]} there")


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
    if not text:
        return None
    if "_" in text or not text.isascii():
        # Python's numbers, and nobody's who writes CSV.
        return text
    # An exception costs more than all else here.
    if "." not in text:
        try:
            return int(text)
        except ValueError:
            pass
    try:
        value = float(text)
    except ValueError:
        return text
    # NaN is how pandas writes "missing"; infinity stays text and is refused as such.
    return None if value != value else value if abs(value) != float("inf") else text
