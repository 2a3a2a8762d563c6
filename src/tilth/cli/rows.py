"""Rows for a prediction request: from JSON on the command line, or from a JSON or CSV file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tilth.core.errors import Invalid

FORMS = ("dataframe_records", "dataframe_split", "instances", "inputs")
MISSING = ("", "NA", "NaN", "nan", "null", "None")


class InvalidRows(Invalid):
    """The text holds no rows."""


def request_of_json(text: str | bytes, where: str) -> dict[str, Any]:
    """The request body for JSON text: a list of objects, a list of lists, one object (one row), or a whole body. Raises InvalidRows."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRows(
            f'{where} is not JSON: {error}; give rows such as \'[{{"origin": "JFK", "distance": 187}}]\''
        ) from error
    if isinstance(found, dict):
        return found if any(form in found for form in FORMS) else {"dataframe_records": [found]}
    if isinstance(found, list) and all(isinstance(row, dict) for row in found):
        return {"dataframe_records": found}
    if isinstance(found, list) and all(isinstance(row, list) for row in found):
        return {"instances": found}
    raise InvalidRows(f"{where} holds no rows; give a list of objects, one per row, or a body with one of {', '.join(FORMS)}")


def request_of_csv(text: str, where: str, text_columns: Collection[str] = ()) -> dict[str, Any]:
    """The request body for CSV text with a head line. Empty and NA are null; numbers and true/false are read as such.

    text_columns: columns whose values stay text whatever they look like. Raises InvalidRows.
    """
    try:
        head, *rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except (ValueError, csv.Error) as error:
        raise InvalidRows(f"{where} is not CSV with a head line ({error})") from error
    other = next((mark for mark in ";\t" if len(head) == 1 and rows and mark in head[0] and mark in rows[0][0]), None)
    if other is not None:
        raise InvalidRows(f"{where} is separated by {other!r}; write it with commas between the values")
    for number, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise InvalidRows(f"{where}: line {number} has {len(row)} values, the head line names {len(head)} columns")
    kept = [name in text_columns for name in head]
    data = [[_value(text, keep) for text, keep in zip(row, kept, strict=True)] for row in rows]
    return {"dataframe_split": {"columns": head, "data": data}}


def request_of_file(path: Path, text_columns: Collection[str] = ()) -> dict[str, Any]:
    """Raises InvalidRows; OSError where the file cannot be read."""
    data = path.read_bytes()
    if path.suffix.lower() in (".csv", ".txt"):
        try:
            return request_of_csv(data.decode("utf-8-sig"), str(path), text_columns)
        except UnicodeDecodeError as error:
            raise InvalidRows(f"{path} is not UTF-8 text: {error}") from error
    return request_of_json(data, str(path))


def _value(text: str, keep_text: bool) -> str | int | float | bool | None:
    if text in MISSING:
        return None
    if keep_text:
        return text
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        # Python reads 1_000 and inf as numbers; the model server's JSON does not know the latter.
        if "_" not in text and math.isfinite(number):
            return number
    return text


def csv_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None) -> str:
    """Rows as CSV with a head line; None: every column that some row has, in order of first sight.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    chosen = list(columns) if columns is not None else list({name: None for row in rows for name in row})
    into = io.StringIO()
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(chosen)
    writer.writerows([_harmless(row.get(name)) for name in chosen] for row in rows)
    return into.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
