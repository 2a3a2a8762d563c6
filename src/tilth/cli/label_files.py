"""Labels from a file, row by row: .csv, .parquet, .jsonl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tilth.core.errors import Invalid

ROWS_AT_ONCE = 10_000


class UnreadableLabels(Invalid):
    """The file is none that labels can be read from."""


def rows_of_file(path: Path, renamed: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows without what is missing in them. renamed: columns of the file -> what they are called here. Raises UnreadableLabels."""
    # As heavy as all other imports of the command together, and of use for this one alone.
    import polars

    lines = polars.read_ndjson
    read: dict[str, Callable[[Path], Any]] = {".csv": _csv, ".parquet": polars.read_parquet, ".jsonl": lines, ".ndjson": lines}
    reader = read.get(path.suffix.lower())
    if reader is None:
        raise UnreadableLabels(f"{path} is neither .csv nor .parquet nor .jsonl; write it as one of these")
    try:
        frame: Any = reader(path)
    except (polars.exceptions.PolarsError, OSError, ValueError) as error:
        raise UnreadableLabels(f"{path} does not read as {path.suffix[1:]}: {str(error).splitlines()[0][:300]}") from error
    frame = frame.rename({old: new for old, new in renamed.items() if old in frame.columns and old != new})
    if "label" not in frame.columns:
        raise UnreadableLabels(
            f"{path} has no column `label`; its columns are {', '.join(frame.columns)[:300]}: name one with --label"
        )
    for part in frame.iter_slices(ROWS_AT_ONCE):
        yield from (
            {name: _value(name, value) for name, value in row.items() if value is not None} for row in part.iter_rows(named=True)
        )


def _csv(path: Path) -> Any:
    """Everything as text but the label and `at`: an id or a key that looks like a number keeps its zeros."""
    import polars

    return polars.read_csv(path, null_values=["", "NA", "NaN", "null"], infer_schema=False)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str) or name not in ("label", "at"):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
