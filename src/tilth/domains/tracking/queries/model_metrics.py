"""Metrics that runs logged about a logged model: points that carry its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from tilth.backends.sql import Tx
from tilth.domains.tracking.tables import metric_point, run

MAX_POINTS = 10_000
"""Of all the models of one page."""


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """value None is NaN. ts in ms since the epoch."""

    model_id: str
    key: str
    value: float | None
    ts: int
    step: int
    run_id: str
    dataset_name: str | None
    dataset_digest: str | None


@dataclass(frozen=True, slots=True)
class DatasetScope:
    """Points that name this data set; digest "" means any."""

    name: str
    digest: str = ""


def points_of_models(tx: Tx, project_id: str, model_ids: Sequence[str]) -> dict[str, list[ModelPoint]]:
    """Points of at most 1,000 models, in order of key, step and time; at most 10,000 altogether."""
    columns: list[Any] = [
        metric_point.c[name]
        for name in ("model_id", "key", "value", "ts", "step", "run_id", "dataset_name", "dataset_digest", "seq")
    ]
    rows = tx.all(
        select(*columns)
        .join(run, run.c.id == metric_point.c.run_id)
        .where(metric_point.c.model_id.in_(list(model_ids)[:1000]), run.c.project_id == project_id)
        .order_by(*(metric_point.c[name] for name in ("model_id", "key", "step", "ts", "seq")))
        .limit(MAX_POINTS)
    )
    found: dict[str, list[ModelPoint]] = {}
    for row in rows:
        point = ModelPoint(row.model_id, row.key, row.value, row.ts, row.step, row.run_id, row.dataset_name, row.dataset_digest)
        found.setdefault(row.model_id, []).append(point)
    return found


def models_with_points(
    project_id: str, datasets: Sequence[DatasetScope], key: str | None = None, compare: Any = None
) -> Select[Any]:
    """For an `IN`: ids of the models of a project with a point of `key` (any if None) whose value passes `compare(column)`.

    datasets: at least one of them is named by the point; none given means any.
    """
    wanted = [metric_point.c.model_id.is_not(None), run.c.project_id == project_id]
    if key is not None:
        wanted.append(metric_point.c.key == key)
    if compare is not None:
        wanted.append(compare(metric_point.c.value))
    if datasets:
        wanted.append(or_(*(_of(each) for each in datasets)))
    return select(metric_point.c.model_id).join(run, run.c.id == metric_point.c.run_id).where(*wanted)


def last_points(project_id: str, key: str, dataset: DatasetScope | None) -> Select[Any]:
    """For a join: (model_id, value) of the newest point of `key` of every model of a project."""
    wanted = [metric_point.c.model_id.is_not(None), metric_point.c.key == key, run.c.project_id == project_id]
    if dataset is not None:
        wanted.append(_of(dataset))
    newest = [metric_point.c.ts.desc(), metric_point.c.step.desc(), metric_point.c.run_id.asc(), metric_point.c.seq.desc()]
    place = func.row_number().over(partition_by=metric_point.c.model_id, order_by=newest).label("place")
    ranked = (
        select(metric_point.c.model_id, metric_point.c.value, place)
        .join(run, run.c.id == metric_point.c.run_id)
        .where(*wanted)
        .subquery()
    )
    return select(ranked.c.model_id, ranked.c.value).where(ranked.c.place == 1)


def _of(dataset: DatasetScope) -> Any:
    named = metric_point.c.dataset_name == dataset.name
    return and_(named, metric_point.c.dataset_digest == dataset.digest) if dataset.digest else named
