"""Conditions of MLflow's filters on tags and params as SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, and_, select

from tilth.backends.sql import compared
from tilth.domains.models.rules.mlflow_filters import Condition


def has_pair(table: Table, key: str, condition: Condition | None, *matches: Any) -> Any:
    """There is a row of `key` in a table of tags or params whose value passes the condition; matches: what ties it to its owner."""
    wanted = [table.c.key == key, *matches]
    if condition is not None:
        wanted.append(compared(table.c.value, condition.operator, condition.value))
    return select(table.c.key).where(and_(*wanted)).exists()
