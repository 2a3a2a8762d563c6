"""Files as a person looks at them: tables, JSON, notebooks. Pure: text in, something to show out; what cannot be read gives None."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tilth.web.markdown import to_html

MAX_ROWS = 200
MAX_COLUMNS = 30
MAX_CELLS = 200
MAX_OUTPUT_CHARS = 20_000
MAX_PICTURE_CHARS = 2_000_000
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first lines of a table. numeric: for each column, whether it stands right. more: whether there is more of it."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    more: bool


@dataclass(frozen=True, slots=True)
class NotebookCell:
    """kind: prose (HTML), code, text (output), error (output) or picture (a data address)."""

    kind: str
    content: Markup | str
    number: str = ""


def sheet(text: str, separator: str = ",") -> Sheet | None:
    """Of CSV or TSV at most 200 rows and 30 columns."""
    try:
        found = list(_first(csv.reader(io.StringIO(text), delimiter=separator), MAX_ROWS + 2))
    except csv.Error:
        return None
    if not found or not found[0]:
        return None
    head, rows = found[0][:MAX_COLUMNS], [row[:MAX_COLUMNS] for row in found[1 : MAX_ROWS + 1]]
    numeric = [_numbers([row[place] for row in rows if place < len(row)]) for place in range(len(head))]
    return Sheet(head, rows, numeric, len(found) > MAX_ROWS + 1 or len(found[0]) > MAX_COLUMNS)


def pretty_json(text: str) -> str | None:
    """Indented; None if it is no JSON, or nested too deeply to be looked at."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def notebook(text: str) -> list[NotebookCell] | None:
    """The cells of a Jupyter notebook with their printed, written and drawn output; HTML of outputs is left out."""
    try:
        document = json.loads(text)
        return [shown for cell in document["cells"][:MAX_CELLS] for shown in _cell(cell)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _cell(cell: dict[str, Any]) -> list[NotebookCell]:
    source = _joined(cell.get("source", ""))
    if cell.get("cell_type") == "markdown":
        return [NotebookCell("prose", to_html(source))]
    if cell.get("cell_type") != "code":
        return [NotebookCell("text", source)] if source else []
    count = cell.get("execution_count")
    own = [NotebookCell("code", source, str(count) if isinstance(count, int) else "")] if source.strip() else []
    return own + [shown for output in cell.get("outputs", []) for shown in _output(output)]


def _output(output: dict[str, Any]) -> list[NotebookCell]:
    kind = output.get("output_type")
    if kind == "stream":
        return [NotebookCell("text", _plain(_joined(output.get("text", ""))))]
    if kind == "error":
        return [NotebookCell("error", _plain("\n".join(output.get("traceback", [])) or str(output.get("evalue", ""))))]
    data = output.get("data", {})
    for media in ("image/png", "image/jpeg"):
        picture = _joined(data.get(media, ""))
        if picture and len(picture) <= MAX_PICTURE_CHARS and _BASE64.fullmatch(picture):
            return [NotebookCell("picture", f"data:{media};base64,{''.join(picture.split())}")]
    text = _joined(data.get("text/plain", ""))
    return [NotebookCell("text", _plain(text))] if text else []


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _plain(text: str) -> str:
    return _ANSI.sub("", text)[:MAX_OUTPUT_CHARS]


def _first(rows: Any, most: int) -> Any:
    for _, row in zip(range(most), rows, strict=False):
        yield row


def _numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    try:
        return bool(filled) and all(float(cell) is not None for cell in filled)
    except ValueError:
        return False
