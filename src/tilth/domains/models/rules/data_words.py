"""The profile of a data set, which programs write as JSON, in words for the reader of a model card. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

NAMED_COLUMNS = 3
"""How many columns with missing values are named; the rest is counted."""
MAX_UNKNOWN_CHARS = 200


def profile_in_words(profile: str) -> str:
    """`77,911 rows, 16 columns; missing values in 7: wind_gust 78%, ...`. Text in a form that is not known stands as it is, cut at 200."""
    try:
        found = json.loads(profile) if profile else {}
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        return _cut(profile)
    rows = _whole(found.get("rows", found.get("num_rows")))
    listed = found.get("columns")
    columns: list[Any] = listed if isinstance(listed, list) else []
    parts = [
        _counted(rows, "row"),
        _counted(len(columns), "column") if columns else "",
        _counted(_whole(found.get("files")), "file"),
        _counted(_whole(found.get("bytes")), "byte"),
    ]
    words = ", ".join(part for part in parts if part)
    if not words:
        return _cut(profile)
    gaps = _missing(columns, rows or 0)
    return f"{words}; {gaps}" if gaps else words


def _missing(columns: list[Any], rows: int) -> str:
    if not columns or not rows:
        return ""
    known = [(str(one.get("name", "")), _whole(one.get("missing")) or 0) for one in columns if isinstance(one, Mapping)]
    gaps = sorted(((name, missing) for name, missing in known if missing), key=lambda gap: (-gap[1], gap[0]))
    if not gaps:
        return "no missing values"
    named = ", ".join(f"{name} {_share(missing, rows)}" for name, missing in gaps[:NAMED_COLUMNS])
    more = f" and {len(gaps) - NAMED_COLUMNS} more" if len(gaps) > NAMED_COLUMNS else ""
    return f"missing values in {_counted(len(gaps), 'column')}: {named}{more}"


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 1 else ("under 0.1%" if percent < 0.1 else f"{percent:.1f}%")


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _counted(number: int | None, word: str) -> str:
    return "" if number is None else f"{number:,} {word}{'' if number == 1 else 's'}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_UNKNOWN_CHARS else f"{text[: MAX_UNKNOWN_CHARS - 1]}…"
