"""Experiments by number, and pages of them by name, tags and moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import bindparam, exists, not_, select

from tilth.backends.sql import Hot, Row, Tx, compared, contains, hot
from tilth.domains.tracking.rules.experiment_filters import ExperimentOrder, ExperimentTerm
from tilth.domains.tracking.tables import experiment, experiment_tag

_COLUMNS = [experiment.c[name] for name in ("id", "number", "name", "created", "updated", "deleted_at")]
_FIELDS: dict[str, Any] = {
    "name": experiment.c.name,
    "experiment_id": experiment.c.number,
    "creation_time": experiment.c.created,
    "last_update_time": experiment.c.updated,
}
_NUMBERED: Hot = hot(
    select(*_COLUMNS).where(experiment.c.project_id == bindparam("project_id"), experiment.c.number == bindparam("number"))
)


def experiment_numbered(tx: Tx, project_id: str, number: int) -> Row | None:
    """id, number, name, created, updated, deleted_at; also of a deleted one."""
    return tx.one(_NUMBERED, project_id=project_id, number=number)


def experiments_with(tx: Tx, project_id: str, part: str, limit: int) -> list[Row]:
    """Columns as of `experiment_numbered`: those with `part` in the name, case ignored, newest first; none that is deleted."""
    named = (experiment.c.project_id == project_id, experiment.c.deleted_at.is_(None), contains(experiment.c.name, part))
    return tx.all(select(*_COLUMNS).where(*named).order_by(experiment.c.number.desc()).limit(limit))


def experiments_page(
    tx: Tx,
    project_id: str,
    *,
    terms: Sequence[ExperimentTerm],
    orders: Sequence[ExperimentOrder],
    lifecycle: Literal["active", "deleted", "all"],
    limit: int,
    offset: int,
) -> list[Row]:
    """Columns as of `experiment_numbered`. Newest number first among equals."""
    wanted: list[Any] = [experiment.c.project_id == project_id, *(_term(term) for term in terms)]
    if lifecycle != "all":
        alive = experiment.c.deleted_at.is_(None)
        wanted.append(alive if lifecycle == "active" else not_(alive))
    by = [_FIELDS[order.key].desc() if order.descending else _FIELDS[order.key] for order in orders]
    statement = select(*_COLUMNS).where(*wanted).order_by(*by, experiment.c.number.desc()).limit(limit).offset(offset)
    return tx.all(statement)


def experiment_tags(tx: Tx, project_id: str, experiment_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Tags by experiment; in chunks of 500."""
    tags: dict[str, dict[str, str]] = {}
    for start in range(0, len(experiment_ids), 500):
        statement = (
            select(experiment_tag.c.experiment_id, experiment_tag.c.key, experiment_tag.c.value)
            .join(experiment, experiment.c.id == experiment_tag.c.experiment_id)
            .where(experiment.c.project_id == project_id, experiment.c.id.in_(list(experiment_ids[start : start + 500])))
            .order_by(experiment_tag.c.experiment_id, experiment_tag.c.key)
        )
        for row in tx.all(statement):
            tags.setdefault(row.experiment_id, {})[row.key] = row.value
    return tags


def _term(term: ExperimentTerm) -> Any:
    if not term.is_tag:
        return compared(_FIELDS[term.key], term.operator, term.value)
    mine = (experiment_tag.c.experiment_id == experiment.c.id) & (experiment_tag.c.key == term.key)
    if term.operator == "IS NULL":
        return not_(exists().where(mine))
    if term.operator == "IS NOT NULL":
        return exists().where(mine)
    return exists().where(mine, compared(experiment_tag.c.value, term.operator, term.value))
