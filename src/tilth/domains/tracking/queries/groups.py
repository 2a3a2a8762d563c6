"""Runs counted by what they share, with the figures of a metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, select

from tilth.backends.sql import StatementTooSlow, Tx
from tilth.domains.tracking.queries.filters import attribute
from tilth.domains.tracking.queries.search import PATIENCE_S, Lifecycle, runs_meeting
from tilth.domains.tracking.rules.filters import Condition, Entity
from tilth.domains.tracking.tables import metric_last, param, run, tag
from tilth.domains.tracking.types import SearchTooSlow
from tilth.wire.search import RunGroup
from tilth.wire.tracking import to_json_value


def run_groups(
    tx: Tx,
    project_id: str,
    *,
    by: tuple[Entity, str],
    metric: str = "",
    terms: Sequence[Condition] = (),
    experiment_id: str | None = None,
    lifecycle: Lifecycle = "active",
    archived: bool | None = False,
    limit: int = 100,
) -> list[RunGroup]:
    """Runs that meet every term by the value of a param, a tag or an attribute; largest groups first. Raises SearchTooSlow."""
    entity, key = by
    joined: Any = run
    value: Any
    if entity == "attribute":
        value = attribute(key)
    else:
        shared: Any = {"param": param, "tag": tag}[entity].alias("shared")
        joined = joined.outerjoin(shared, and_(shared.c.run_id == run.c.id, shared.c.key == key))
        value = shared.c.value
    columns: list[Any] = [value.label("value"), func.count().label("runs")]
    if metric:
        score = metric_last.alias("score")
        joined = joined.outerjoin(score, and_(score.c.run_id == run.c.id, score.c.key == metric))
        columns += [
            func.avg(score.c.value).label("mean"),
            func.min(score.c.value).label("least"),
            func.max(score.c.value).label("most"),
        ]
    tx.hurry(PATIENCE_S)
    try:
        met = runs_meeting(tx, project_id, terms=terms, experiment_id=experiment_id, lifecycle=lifecycle, archived=archived)
        statement = select(*columns).select_from(joined).where(*met).group_by(value)
        found = tx.all(statement.order_by(func.count().desc(), value).limit(limit))
    except StatementTooSlow as slow:
        raise SearchTooSlow(PATIENCE_S, "too many runs were to be counted") from slow
    return [_group(row, bool(metric)) for row in found]


def _group(row: Any, scored: bool) -> RunGroup:
    text = None if row.value is None else str(row.value)
    if not scored:
        return RunGroup(text, int(row.runs))
    mean, least, most = (None if figure is None else to_json_value(figure) for figure in (row.mean, row.least, row.most))
    return RunGroup(text, int(row.runs), mean, least, most)
