"""Logged models found by MLflow's filters, in MLflow's orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, select

from tilth.backends.sql import Tx, compared
from tilth.domains.models.queries import logged
from tilth.domains.models.queries.logged import LoggedModel
from tilth.domains.models.queries.matching import has_pair
from tilth.domains.models.rules.mlflow_filters import Condition, Order
from tilth.domains.models.tables import (
    logged_model,
    logged_model_param,
    logged_model_tag,
    model_version,
    registered_model,
)
from tilth.domains.models.types import UnknownLoggedModel
from tilth.domains.tracking.queries.model_metrics import (
    DatasetScope,
    ModelPoint,
    last_points,
    models_with_points,
    points_of_models,
)
from tilth.wire.registry import VersionName

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class LoggedModelRow:
    """A logged model with its words and the metrics that runs logged about it."""

    model: LoggedModel
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[ModelPoint]
    registrations: list[VersionName]


def find_logged_models(
    tx: Tx,
    project_id: str,
    experiment_ids: Sequence[str],
    conditions: Sequence[Condition],
    datasets: Sequence[DatasetScope],
    order: Sequence[Order],
    *,
    limit: int,
    offset: int = 0,
) -> list[LoggedModelRow]:
    """Of the experiments, newest first where no order is given. What a version's files were copied into is left out: nobody logged it.

    datasets: conditions on metrics look at points of these alone; without such a condition a model needs a point of one of them.
    """
    wanted = [
        logged_model.c.project_id == project_id,
        logged_model.c.experiment_id.in_(list(experiment_ids)),
        logged_model.c.deleted_at.is_(None),
        logged_model.c.copied_from.is_(None),
    ]
    wanted += [_condition(project_id, each, datasets) for each in conditions]
    if datasets and not any(each.entity == "metric" for each in conditions):
        wanted.append(logged_model.c.id.in_(models_with_points(project_id, datasets)))
    statement = select(*logged_model.c)
    clauses: list[Any] = []
    for each in order:
        if each.entity == "metric":
            scope = DatasetScope(each.dataset_name, each.dataset_digest) if each.dataset_name else None
            last = last_points(project_id, each.key, scope).subquery()
            statement = statement.outerjoin(last, last.c.model_id == logged_model.c.id)
            column: Any = last.c.value
        else:
            column = logged_model.c[each.key]
        clauses += [case((column.is_(None), 1), else_=0), column.asc() if each.ascending else column.desc()]
    if not any(each.entity == "attribute" and each.key == "created" for each in order):
        clauses.append(logged_model.c.created.desc())
    rows = tx.all(statement.where(*wanted).order_by(*clauses, logged_model.c.id).limit(limit).offset(offset))
    return in_full(tx, project_id, [logged.logged_model_of(row) for row in rows])


def logged_model_row(tx: Tx, project_id: str, logged_model_id: str, *, deleted: bool = False) -> LoggedModelRow:
    """deleted: also one that was deleted. Raises UnknownLoggedModel."""
    if not deleted:
        return in_full(tx, project_id, [logged.logged_model_by_id(tx, project_id, logged_model_id)])[0]
    found = logged.logged_models_by_ids(tx, project_id, [logged_model_id])
    if logged_model_id not in found:
        raise UnknownLoggedModel(logged_model_id)
    return in_full(tx, project_id, [found[logged_model_id]])[0]


def in_full(tx: Tx, project_id: str, models: Sequence[LoggedModel]) -> list[LoggedModelRow]:
    """Loads the words and metrics of the models."""
    params: dict[str, dict[str, str]] = {}
    tags: dict[str, dict[str, str]] = {}
    metrics: dict[str, list[ModelPoint]] = {}
    registrations: dict[str, list[VersionName]] = {}
    for start in range(0, len(models), AT_ONCE):
        some = [model.id for model in models[start : start + AT_ONCE]]
        _add_pairs(tx, logged_model_param, project_id, some, params)
        _add_pairs(tx, logged_model_tag, project_id, some, tags)
        metrics |= points_of_models(tx, project_id, some)
        _add_registrations(tx, project_id, some, registrations)
    return [
        LoggedModelRow(
            model, params.get(model.id, {}), tags.get(model.id, {}), metrics.get(model.id, []), registrations.get(model.id, [])
        )
        for model in models
    ]


def model_of_run(tx: Tx, project_id: str, run_id: str, name: str) -> str | None:
    """Id of the model of that name that the run logged last."""
    found: str | None = tx.scalar(
        select(logged_model.c.id)
        .where(
            logged_model.c.project_id == project_id,
            logged_model.c.source_run_id == run_id,
            logged_model.c.name == name,
            logged_model.c.deleted_at.is_(None),
            logged_model.c.copied_from.is_(None),
        )
        .order_by(logged_model.c.created.desc(), logged_model.c.id.desc())
        .limit(1)
    )
    return found


def _condition(project_id: str, each: Condition, datasets: Sequence[DatasetScope]) -> Any:
    if each.entity == "attribute":
        return compared(logged_model.c[each.key], each.operator, each.value)
    if each.entity == "metric":
        with_points = models_with_points(
            project_id, datasets, each.key, lambda column: compared(column, each.operator, each.value)
        )
        return logged_model.c.id.in_(with_points)
    table = logged_model_param if each.entity == "param" else logged_model_tag
    return has_pair(table, each.key, each, table.c.logged_model_id == logged_model.c.id)


def _add_pairs(tx: Tx, table: Any, project_id: str, ids: Sequence[str], found: dict[str, dict[str, str]]) -> None:
    rows = tx.all(
        select(table.c.logged_model_id, table.c.key, table.c.value)
        .where(table.c.project_id == project_id, table.c.logged_model_id.in_(ids))
        .order_by(table.c.key)
    )
    for row in rows:
        found.setdefault(row.logged_model_id, {})[row.key] = row.value


def _add_registrations(tx: Tx, project_id: str, ids: Sequence[str], found: dict[str, list[VersionName]]) -> None:
    rows = tx.all(
        select(model_version.c.logged_model_id, registered_model.c.name, model_version.c.version)
        .join(registered_model, registered_model.c.id == model_version.c.model_id)
        .where(
            model_version.c.project_id == project_id,
            model_version.c.logged_model_id.in_(ids),
            model_version.c.deleted_at.is_(None),
            registered_model.c.deleted_at.is_(None),
        )
        .order_by(registered_model.c.name, model_version.c.version)
    )
    for row in rows:
        found.setdefault(row.logged_model_id, []).append(VersionName(row.name, row.version))
