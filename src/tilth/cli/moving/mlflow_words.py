"""MLflow's words as ours: statuses, the tags that are facts of a run, the environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tilth.cli.moving.source import SourceRun
from tilth.wire.imports import ImportedModel
from tilth.wire.tracking import DatasetInput, Environment, GitState, MetricValue

STATUS = {
    **dict.fromkeys(("1", "RUNNING"), "running"),
    **dict.fromkeys(("2", "SCHEDULED"), "scheduled"),
    **dict.fromkeys(("3", "FINISHED"), "finished"),
    **dict.fromkeys(("4", "FAILED"), "failed"),
    **dict.fromkeys(("5", "KILLED"), "killed"),
}
CONTEXT = "mlflow.data.context"
LARGEST = 1.7976931348623157e308
"""What MLflow's SQL store keeps for an infinity."""


def run_of(
    id_: str,
    experiment: str,
    facts: Mapping[str, Any],
    *,
    deleted: int | None,
    params: dict[str, str],
    tags: dict[str, str],
    inputs: list[DatasetInput],
    models: list[ImportedModel],
    files: str,
) -> SourceRun:
    """facts: name, status, start_time, end_time, user_id as MLflow names them. Tags that are facts are taken out of the tags."""
    rest = dict(tags)
    name = rest.pop("mlflow.runName", None) or facts.get("name") or id_[:8]
    return SourceRun(
        id=id_,
        experiment=experiment,
        name=str(name),
        status=STATUS.get(str(facts.get("status")), "finished"),
        started=int(facts.get("start_time") or 0),
        ended=None if not facts.get("end_time") else int(facts["end_time"]),
        user=str(facts.get("user_id") or tags.get("mlflow.user") or ""),
        origin=tags.get("mlflow.source.name", ""),
        notes=rest.pop("mlflow.note.content", ""),
        parent=rest.pop("mlflow.parentRunId", None),
        deleted=deleted,
        environment=environment_of(tags),
        params=params,
        tags=rest,
        inputs=inputs,
        models=models,
        files=files,
    )


def environment_of(tags: Mapping[str, str]) -> Environment | None:
    commit = tags.get("mlflow.source.git.commit", "")
    if not commit and not tags.get("mlflow.source.name"):
        return None
    git = GitState(commit, tags.get("mlflow.source.git.branch", ""), tags.get("mlflow.source.git.repoURL", ""))
    return Environment(git=git if commit else None, entry_point=tags.get("mlflow.source.name", ""))


def input_of(dataset: Mapping[str, Any], tags: Mapping[str, str]) -> DatasetInput:
    return DatasetInput(
        name=str(dataset.get("name") or "dataset"),
        digest=str(dataset.get("digest") or "unknown"),
        context=tags.get(CONTEXT, ""),
        source_type=str(dataset.get("source_type") or ""),
        source=str(dataset.get("source") or ""),
        schema=str(dataset.get("schema") or ""),
        profile=str(dataset.get("profile") or ""),
    )


def value_of(value: Any, is_nan: bool = False) -> MetricValue:
    """A number, or the word for one that JSON does not know. MLflow's SQL store keeps infinities as the largest numbers."""
    number = float(value)
    if is_nan or math.isnan(number):
        return "NaN"
    if abs(number) >= LARGEST:
        return "Infinity" if number > 0 else "-Infinity"
    return number
