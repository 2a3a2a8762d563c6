"""Experiments and runs as MLflow's REST protocol has them. Moments are milliseconds since the epoch, UTC."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import field

from tilth.wire.mlflow import Answer, Asked, KeyValue, missing
from tilth.wire.tracking import MetricPoint


class OfRun(Asked):
    """A request about one run. run_uuid: the older name of run_id."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: str | None = None
    run_uuid: str | None = None

    def __post_init__(self) -> None:
        self.run_id = self.run_id or self.run_uuid

    @property
    def run(self) -> str:
        return self.run_id or ""


class OfExperiment(Asked):
    """A request about one experiment, by the number that this protocol calls its id."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("experiment_id",)

    experiment_id: str | None = None

    @property
    def number(self) -> str:
        return self.experiment_id or ""


class CreateExperiment(Asked):
    REQUIRED: ClassVar[tuple[str, ...]] = ("name",)

    name: str | None = None
    artifact_location: str | None = None
    tags: list[KeyValue] | None = None


class GetExperimentByName(Asked):
    REQUIRED: ClassVar[tuple[str, ...]] = ("experiment_name",)

    experiment_name: str | None = None


class UpdateExperiment(OfExperiment):
    REQUIRED: ClassVar[tuple[str, ...]] = ("experiment_id", "new_name")

    new_name: str | None = None


class SetExperimentTag(OfExperiment):
    REQUIRED: ClassVar[tuple[str, ...]] = ("experiment_id", "key")

    key: str | None = None
    value: str | None = None


class DeleteExperimentTag(OfExperiment):
    REQUIRED: ClassVar[tuple[str, ...]] = ("experiment_id", "key")

    key: str | None = None


class SearchExperiments(Asked):
    """view_type: a name, or its number in the protocol."""

    view_type: str | int | None = None
    max_results: int | None = None
    order_by: list[str] | None = None
    filter: str | None = None
    page_token: str | None = None


class CreateRun(Asked):
    experiment_id: str | None = None
    start_time: int | None = None
    run_name: str | None = None
    user_id: str | None = None
    tags: list[KeyValue] | None = None


class UpdateRun(OfRun):
    end_time: int | None = None
    status: str | int | None = None
    run_name: str | None = None


class LogMetric(OfRun):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id", "key", "value", "timestamp")

    key: str | None = None
    value: float | None = None
    timestamp: int | None = None
    step: int | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogParam(OfRun):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id", "key")

    key: str | None = None
    value: str | None = None


class SetTag(LogParam):
    pass


class DeleteTag(OfRun):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id", "key")

    key: str | None = None


class LoggedPoint(MetricPoint, forbid_unknown_fields=False):
    """A metric of a batch. It is our own point under MLflow's names, so that a batch is decoded straight into what is written."""

    ts: int | None = field(default=None, name="timestamp")


class LogBatch(OfRun):
    metrics: list[LoggedPoint] | None = None
    params: list[KeyValue] | None = None
    tags: list[KeyValue] | None = None

    @classmethod
    def explain(cls, given: dict[str, Any]) -> None:
        """Raises MlflowError for the first entry that lacks a field."""
        for name, fields in (("metrics", ("key", "value", "timestamp")), ("params", ("key",)), ("tags", ("key",))):
            entries = given.get(name)
            for index, entry in enumerate(entries if isinstance(entries, list) else ()):
                for wanted in fields:
                    if isinstance(entry, dict) and entry.get(wanted) in (None, ""):
                        raise missing(f"{name}[{index}].{wanted}")


class LogModel(OfRun):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id", "model_json")

    model_json: str | None = None


class Dataset(Answer):
    """schema and profile: JSON documents as text."""

    name: str | None = None
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Answer):
    tags: list[KeyValue] = field(default_factory=list)
    dataset: Dataset | None = None


class ModelInput(Answer):
    model_id: str | None = None


class ModelOutput(Answer):
    model_id: str | None = None
    step: int | None = None


class LogInputs(OfRun):
    datasets: list[DatasetInput] | None = None
    models: list[ModelInput] | None = None


class LogOutputs(OfRun):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id", "models")

    models: list[ModelOutput] | None = None


class SearchRuns(Asked):
    experiment_ids: list[str] | None = None
    filter: str | None = None
    max_results: int | None = None
    order_by: list[str] | None = None
    run_view_type: str | int | None = None
    page_token: str | None = None


class GetHistory(OfRun):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_id", "metric_key")

    metric_key: str | None = None
    max_results: int | None = None
    page_token: str | None = None


class GetBulkInterval(Asked):
    REQUIRED: ClassVar[tuple[str, ...]] = ("run_ids", "metric_key")

    run_ids: list[str] | None = None
    metric_key: str | None = None
    start_step: int | None = None
    end_step: int | None = None
    max_results: int | None = None


class ListArtifacts(OfRun):
    path: str | None = None
    page_token: str | None = None


class Experiment(Answer):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[KeyValue] = field(default_factory=list)


class RunInfo(Answer):
    run_uuid: str
    run_id: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    end_time: int | None = None


class Metric(Answer):
    """value: NaN is the text "NaN"."""

    key: str
    value: float | str
    timestamp: int
    step: int
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class RunData(Answer):
    metrics: list[Metric] = field(default_factory=list)
    params: list[KeyValue] = field(default_factory=list)
    tags: list[KeyValue] = field(default_factory=list)


class RunInputs(Answer):
    dataset_inputs: list[DatasetInput] = field(default_factory=list)
    model_inputs: list[ModelInput] = field(default_factory=list)


class RunOutputs(Answer):
    model_outputs: list[ModelOutput] = field(default_factory=list)


class Run(Answer):
    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs | None = None


class ExperimentId(Answer):
    experiment_id: str


class OneExperiment(Answer):
    experiment: Experiment


class Experiments(Answer):
    experiments: list[Experiment] = field(default_factory=list)
    next_page_token: str | None = None


class OneRun(Answer):
    run: Run


class OneRunInfo(Answer):
    run_info: RunInfo


class Runs(Answer):
    runs: list[Run] = field(default_factory=list)
    next_page_token: str | None = None


class Metrics(Answer):
    metrics: list[Metric] = field(default_factory=list)
    next_page_token: str | None = None


class FileInfo(Answer):
    """path: from the root of the run."""

    path: str
    is_dir: bool
    file_size: int | None = None


class Files(Answer):
    root_uri: str
    files: list[FileInfo] = field(default_factory=list)
