"""Comparisons, LIKE and letters of any case, alike on SQLite and on PostgreSQL."""

from __future__ import annotations

import string
from typing import Any

from sqlalchemy import ColumnElement, func

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def compared(column: Any, operator: str, value: Any) -> Any:
    """operator: as MLflow's filters spell it. LIKE heeds case, ILIKE does not; IN and NOT IN take several values."""
    match operator:
        case "=":
            return column == value
        case "!=":
            return column != value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
        case ">=":
            return column >= value
        case "LIKE":
            return like(column, value)
        case "ILIKE":
            return like(column, value, any_case=True)
        case "IN":
            return column.in_(list(value))
        case "NOT IN":
            return column.not_in(list(value))
    raise LookupError(f"no such operator: {operator}")


def like(column: Any, pattern: str, *, any_case: bool = False) -> ColumnElement[bool]:
    """`%` stands for any text, `_` for one character, all else for itself: there is no way to escape them."""
    found: ColumnElement[bool]
    if any_case:
        found = func.lower(column).like(lowered(pattern), escape=_unused(pattern))
    else:
        found = column.like(pattern, escape=_unused(pattern))
    return found


def contains(column: Any, text: str) -> ColumnElement[bool]:
    """Whether `text` stands anywhere in the column, in letters of any case."""
    return func.lower(column).contains(lowered(text), autoescape=True)


def lowered(text: str) -> str:
    """As SQL's lower() does on both databases: A to Z alone."""
    return text.translate(_LOWER)


def _unused(pattern: str) -> str:
    """A character that the pattern lacks: PostgreSQL would else take a backslash for an escape."""
    return next(mark for mark in map(chr, range(1, len(pattern) + 3)) if mark not in pattern and mark not in "%_")
