"""How many of a deployment's predictions have a label."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from tilth.backends.sql import Tx
from tilth.core.clock import DAY, Millis, iso
from tilth.domains.serving.queries.deployments import deployment_by_name
from tilth.domains.serving.queries.labels import count_waiting
from tilth.domains.serving.tables import prediction_file, scored_prediction
from tilth.domains.serving.types import Deployment
from tilth.wire.labels import Coverage, CoverageRow

MAX_COVERAGE_ROWS = 1_000

_scored = scored_prediction.c


def label_coverage(tx: Tx, project_id: str, name: str, since: int) -> Coverage:
    """Of the predictions since a moment. Raises UnknownDeployment."""
    found = deployment_by_name(tx, project_id, name)
    rows = coverage_rows(tx, project_id, found.id, since, 1 << 62)
    return Coverage(
        predictions=sum(row.predictions for row in rows),
        labelled=sum(row.labelled for row in rows),
        waiting=count_waiting(tx, project_id, found.id),
        key=list(found.settings.label_key),
        window_s=found.settings.label_window_s,
        days=rows,
        unscored=_unscored(tx, found, since, rows),
    )


def _unscored(tx: Tx, found: Deployment, since: int, rows: Sequence[CoverageRow]) -> int:
    """Rows in files of whole days since a moment that have no score."""
    scored: dict[str, int] = {}
    for row in rows:
        scored[row.day] = scored.get(row.day, 0) + row.predictions
    columns = prediction_file.c
    kept = tx.all(
        select(columns.day, func.sum(columns.rows).label("rows"))
        .where(
            columns.project_id == found.project_id,
            columns.deployment_id == found.id,
            ~columns.shadow,
            columns.last >= since,
            columns.day > _day(since // DAY),
        )
        .group_by(columns.day)
        .order_by(columns.day.desc())
        .limit(MAX_COVERAGE_ROWS)
    )
    return sum(max(0, int(row.rows) - scored.get(row.day, 0)) for row in kept)


def coverage_rows(tx: Tx, project_id: str, deployment_id: str, since: int, until: int) -> list[CoverageRow]:
    """By UTC day and version, newest day first; at most 1,000."""
    # The quotient of two integers is one in both databases, of moments after 1970 the day.
    day = _scored.at.op("/")(int(DAY))
    rows = tx.all(
        select(
            day.label("day"),
            _scored.model,
            _scored.version,
            func.count().label("rows"),
            func.count(_scored.label).label("labelled"),
        )
        .where(_scored.project_id == project_id, _scored.deployment_id == deployment_id, _scored.at >= since, _scored.at < until)
        .group_by(day, _scored.model, _scored.version)
        .order_by(day.desc(), _scored.model, _scored.version)
        .limit(MAX_COVERAGE_ROWS)
    )
    return [CoverageRow(_day(row.day), row.model, row.version, row.rows, row.labelled) for row in rows]


def _day(number: int) -> str:
    return iso(Millis(number * DAY))[:10]
