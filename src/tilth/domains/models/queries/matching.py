"""Conditions of MLflow's filters as SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, and_, select

from tilth.backends.sql import like
from tilth.domains.models.rules.mlflow_filters import Condition


def compared(column: Any, operator: str, value: Any) -> Any:
    """The comparison as SQL. LIKE heeds case, ILIKE does not."""
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


def has_pair(table: Table, key: str, condition: Condition | None, *matches: Any) -> Any:
    """There is a row of `key` in a table of tags or params whose value passes the condition; matches: what ties it to its owner."""
    wanted = [table.c.key == key, *matches]
    if condition is not None:
        wanted.append(compared(table.c.value, condition.operator, condition.value))
    return select(table.c.key).where(and_(*wanted)).exists()
