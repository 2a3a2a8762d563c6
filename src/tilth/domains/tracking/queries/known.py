"""Keys and values there are, for completion: read by jumping from one to the next in an order index, never run by run."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import func, select

from tilth.backends.sql import Tx
from tilth.domains.tracking.queries.filters import after_prefix
from tilth.domains.tracking.tables import experiment, metric_last, param, tag

Kind = Literal["metric", "param", "tag"]

MAX_EXPERIMENTS = 50
"""The newest ones: completion of a project with thousands of experiments must not ask each."""

_TABLES: dict[str, Any] = {"metric": metric_last, "param": param, "tag": tag}


def keys_there_are(
    tx: Tx, project_id: str, kind: Kind, *, prefix: str = "", experiment_id: str | None = None, limit: int = 200
) -> list[str]:
    """Keys that begin with `prefix`, in order."""
    table = _TABLES[kind]
    return _merged(tx, project_id, experiment_id, table, table.c.key, [], prefix, limit)


def values_there_are(
    tx: Tx,
    project_id: str,
    kind: Literal["param", "tag"],
    key: str,
    *,
    prefix: str = "",
    experiment_id: str | None = None,
    limit: int = 200,
) -> list[str]:
    """The first 256 characters of the values of a key."""
    table = _TABLES[kind]
    return _merged(tx, project_id, experiment_id, table, table.c.prefix, [table.c.key == key], prefix, limit)


def _merged(
    tx: Tx, project_id: str, experiment_id: str | None, table: Any, column: Any, wanted: list[Any], prefix: str, limit: int
) -> list[str]:
    mine = select(experiment.c.serial).where(experiment.c.project_id == project_id)
    if experiment_id is not None:
        mine = mine.where(experiment.c.id == experiment_id)
    found: set[str] = set()
    for row in tx.all(mine.order_by(experiment.c.number.desc()).limit(MAX_EXPERIMENTS)):
        found.update(_jumps(tx, column, [table.c.experiment_serial == row.serial, *wanted], prefix, limit))
    return sorted(found)[:limit]


def _jumps(tx: Tx, column: Any, wanted: list[Any], prefix: str, limit: int) -> list[str]:
    """Distinct values of an index column under fixed columns before it, each found by one look into the index."""
    least = func.min(column)
    bounds = [*wanted, column >= prefix]
    if end := after_prefix(prefix):
        bounds.append(column < end)
    first = select(least.label("value")).where(*bounds)
    jump = first.cte("jump", recursive=True)
    following = select(least).where(*bounds, column > jump.c.value).scalar_subquery()
    jump = jump.union_all(select(following).where(jump.c.value.is_not(None)))
    statement = select(jump.c.value).where(jump.c.value.is_not(None)).limit(limit)
    return [row.value for row in tx.all(statement)]
