"""Our rows as MLflow's objects."""

from __future__ import annotations

from collections.abc import Mapping

from tilth.backends.sql import Row
from tilth.domains.tracking.queries.whole import WholeRun, keys_of
from tilth.domains.tracking.rules.mlflow_filters import STATUS_NAMES
from tilth.domains.tracking.rules.mlflow_tags import CONTEXT, USER, shown_tags
from tilth.wire.mlflow import KeyValue, to_wire
from tilth.wire.mlflow_tracking import (
    Dataset,
    DatasetInput,
    Experiment,
    Metric,
    ModelInput,
    ModelOutput,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
)


def artifact_root(number: int) -> str:
    """Where artifacts of an experiment lie, as clients of this protocol name it."""
    return f"mlflow-artifacts:/{number}"


def run_artifact_root(number: int, run_id: str) -> str:
    return f"{artifact_root(number)}/{run_id}/artifacts"


def lifecycle(deleted_at: int | None) -> str:
    return "active" if deleted_at is None else "deleted"


def pairs(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key, value) for key, value in values.items()]


def shown_experiment(row: Row, tags: Mapping[str, str]) -> Experiment:
    return Experiment(
        experiment_id=str(row.number),
        name=row.name,
        artifact_location=artifact_root(row.number),
        lifecycle_stage=lifecycle(row.deleted_at),
        last_update_time=row.updated,
        creation_time=row.created,
        tags=pairs(tags),
    )


def shown_info(row: Row, user: str) -> RunInfo:
    """row: as `WholeRun.run`."""
    return RunInfo(
        run_uuid=row.id,
        run_id=row.id,
        run_name=row.name,
        experiment_id=str(row.number),
        user_id=user,
        status=STATUS_NAMES[row.status],
        start_time=row.started,
        artifact_uri=run_artifact_root(row.number, row.id),
        lifecycle_stage=lifecycle(row.deleted_at),
        end_time=row.ended,
    )


def shown_run(whole: WholeRun) -> Run:
    row = whole.run
    own = keys_of(whole.tags)
    user = own.get(USER, row.user_name)
    tags = shown_tags(own, name=row.name, notes=row.notes, parent_run_id=row.parent_run_id)
    made = [ModelOutput(link.model_id, link.step) for link in whole.models if link.direction == "output"]
    return Run(
        info=shown_info(row, user),
        data=RunData(
            metrics=[Metric(last.key, to_wire(last.value), last.ts, last.step) for last in whole.metrics],
            params=[KeyValue(param.key, param.value) for param in whole.params],
            tags=pairs(tags),
        ),
        inputs=RunInputs(
            dataset_inputs=[_input(data) for data in whole.inputs],
            model_inputs=[ModelInput(link.model_id) for link in whole.models if link.direction == "input"],
        ),
        outputs=RunOutputs(made),
    )


def _input(data: Row) -> DatasetInput:
    tags = dict(data.tags or {})
    if data.context:
        tags[CONTEXT] = data.context
    return DatasetInput(
        tags=pairs(tags),
        dataset=Dataset(
            name=data.name,
            digest=data.digest,
            source_type=data.source_type,
            source=data.source,
            schema=data.schema or None,
            profile=data.profile or None,
        ),
    )
