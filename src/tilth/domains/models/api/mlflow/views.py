"""Our rows as MLflow's objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tilth.backends.sql import Tx
from tilth.domains.models.queries.listing import ModelRow, VersionRow
from tilth.domains.models.queries.logged_search import LoggedModelRow
from tilth.domains.tracking.queries.experiment_numbers import numbers_of
from tilth.domains.tracking.queries.model_metrics import ModelPoint
from tilth.wire.mlflow import KeyValue, to_wire
from tilth.wire.mlflow_registry import (
    AliasAnswer,
    LoggedModelAnswer,
    LoggedModelData,
    LoggedModelInfo,
    ModelAnswer,
    ModelMetric,
    Registration,
    VersionAnswer,
)
from tilth.wire.registry import VersionName

STATUS = {"pending": "LOGGED_MODEL_PENDING", "ready": "LOGGED_MODEL_READY", "failed": "LOGGED_MODEL_UPLOAD_FAILED"}
SCHEME = "mlflow-artifacts:"


def model_answer(row: ModelRow) -> ModelAnswer:
    return ModelAnswer(
        name=row.name,
        creation_timestamp=row.created,
        last_updated_timestamp=row.updated,
        user_id=row.creator,
        description=row.description or None,
        latest_versions=[version_answer(each) for each in row.latest],
        tags=_pairs(row.tags),
        aliases=[AliasAnswer(alias, str(version)) for alias, version in row.aliases.items()],
    )


def version_answer(row: VersionRow) -> VersionAnswer:
    named = row.logged_model_id if row.logged_model_id and row.logged_model_id in row.source else None
    return VersionAnswer(
        name=row.model,
        version=str(row.version),
        creation_timestamp=row.created,
        last_updated_timestamp=row.updated,
        user_id=row.creator,
        current_stage=row.stage,
        description=row.description or "",
        source=row.source,
        run_id=row.run_id or "",
        status=row.status.upper(),
        status_message=row.status_message or None,
        tags=_pairs(row.tags),
        run_link=row.run_link or "",
        aliases=row.aliases,
        model_id=named,
    )


def logged_model_answers(tx: Tx, project_id: str, rows: Sequence[LoggedModelRow]) -> list[LoggedModelAnswer]:
    numbers = numbers_of(tx, project_id, [row.model.experiment_id for row in rows if row.model.experiment_id])
    return [_logged_model(row, numbers.get(row.model.experiment_id or "", 0)) for row in rows]


def artifact_uri(experiment_number: int, logged_model_id: str) -> str:
    """Where a client finds the files of a logged model."""
    return f"{SCHEME}/{experiment_number}/models/{logged_model_id}/artifacts"


def _logged_model(row: LoggedModelRow, number: int) -> LoggedModelAnswer:
    model = row.model
    info = LoggedModelInfo(
        model_id=model.id,
        experiment_id=str(number),
        name=model.name,
        creation_timestamp_ms=model.created,
        last_updated_timestamp_ms=model.updated,
        artifact_uri=artifact_uri(number, model.id),
        status=STATUS[model.status],
        model_type=model.model_type or "",
        source_run_id=model.source_run_id or "",
        status_message=model.status_message or None,
        tags=_pairs({**row.tags, **_versions_tag(row.registrations)}),
        registrations=[Registration(each.model, str(each.version)) for each in row.registrations],
    )
    data = LoggedModelData(params=_pairs(row.params), metrics=[_metric(each) for each in row.metrics])
    return LoggedModelAnswer(info, data)


def _versions_tag(registrations: Sequence[VersionName]) -> dict[str, str]:
    """Where MLflow keeps which versions were made of a logged model."""
    found = [{"name": each.model, "version": each.version} for each in registrations]
    return {"mlflow.modelVersions": json.dumps(found)} if found else {}


def _metric(point: ModelPoint) -> ModelMetric:
    return ModelMetric(
        key=point.key,
        value=to_wire(point.value),
        timestamp=point.ts,
        step=point.step,
        dataset_name=point.dataset_name or None,
        dataset_digest=point.dataset_digest or None,
        model_id=point.model_id,
        run_id=point.run_id,
    )


def _pairs(pairs: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key, value) for key, value in pairs.items()]
