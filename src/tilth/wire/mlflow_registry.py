"""MLflow's objects of registered models, versions, logged models and stored artifacts. See `wire.mlflow` for the dialect."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct, field

from tilth.wire.mlflow import Answer, Asked, KeyValue


class Pair(Struct):
    """A tag or a param, as sent."""

    key: str | None = None
    value: str | None = None


class AliasAnswer(Answer):
    alias: str | None = None
    version: str | None = None


class ModelMetric(Answer):
    key: str | None = None
    value: float | str | None = None
    timestamp: int | None = None
    step: int | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None


class VersionAnswer(Answer):
    name: str | None = None
    version: str | None = None
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    current_stage: str | None = None
    description: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str | None = None
    status_message: str | None = None
    tags: list[KeyValue] = field(default_factory=list)
    run_link: str | None = None
    aliases: list[str] = field(default_factory=list)
    model_id: str | None = None


class ModelAnswer(Answer):
    name: str | None = None
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    description: str | None = None
    latest_versions: list[VersionAnswer] = field(default_factory=list)
    tags: list[KeyValue] = field(default_factory=list)
    aliases: list[AliasAnswer] = field(default_factory=list)


class OneModel(Answer):
    registered_model: ModelAnswer | None = None


class OneVersion(Answer):
    model_version: VersionAnswer | None = None


class Models(Answer):
    registered_models: list[ModelAnswer] = field(default_factory=list)
    next_page_token: str | None = None


class Versions(Answer):
    model_versions: list[VersionAnswer] = field(default_factory=list)
    next_page_token: str | None = None


class DownloadAddress(Answer):
    artifact_uri: str | None = None


class CreateModel(Asked):
    REQUIRED: ClassVar = ("name",)
    name: str | None = None
    tags: list[Pair] | None = None
    description: str | None = None


class NamedModel(Asked):
    REQUIRED: ClassVar = ("name",)
    name: str = ""


class UpdateModel(Asked):
    REQUIRED: ClassVar = ("name",)
    name: str = ""
    description: str | None = None


class RenameModel(Asked):
    REQUIRED: ClassVar = ("name", "new_name")
    name: str = ""
    new_name: str = ""


class LatestVersions(Asked):
    REQUIRED: ClassVar = ("name",)
    name: str = ""
    stages: list[str] | None = None


class SearchModels(Asked):
    filter: str | None = None
    max_results: int | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class ModelTag(Asked):
    REQUIRED: ClassVar = ("name", "key")
    name: str = ""
    key: str = ""
    value: str | None = None


class SetAlias(Asked):
    REQUIRED: ClassVar = ("name", "alias", "version")
    name: str = ""
    alias: str = ""
    version: str = ""


class NamedAlias(Asked):
    REQUIRED: ClassVar = ("name", "alias")
    name: str = ""
    alias: str = ""


class CreateVersion(Asked):
    REQUIRED: ClassVar = ("name", "source")
    name: str = ""
    source: str = ""
    run_id: str | None = None
    tags: list[Pair] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class NamedVersion(Asked):
    REQUIRED: ClassVar = ("name", "version")
    name: str = ""
    version: str = ""


class DownloadVersion(Asked):
    """Of this call MLflow's server checks no parameters as such: a missing name is told by the rule of names."""

    name: str = ""
    version: str = ""


class UpdateVersion(Asked):
    REQUIRED: ClassVar = ("name", "version")
    name: str = ""
    version: str = ""
    description: str | None = None


class StageVersion(Asked):
    REQUIRED: ClassVar = ("name", "version", "stage")
    name: str = ""
    version: str = ""
    stage: str = ""
    archive_existing_versions: bool | None = None


class VersionTag(Asked):
    REQUIRED: ClassVar = ("name", "version", "key")
    name: str = ""
    version: str = ""
    key: str = ""
    value: str | None = None


class Registration(Answer):
    name: str | None = None
    version: str | None = None


class LoggedModelInfo(Answer):
    model_id: str | None = None
    experiment_id: str | None = None
    name: str | None = None
    creation_timestamp_ms: int | None = None
    last_updated_timestamp_ms: int | None = None
    artifact_uri: str | None = None
    status: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    status_message: str | None = None
    tags: list[KeyValue] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)


class LoggedModelData(Answer):
    params: list[KeyValue] = field(default_factory=list)
    metrics: list[ModelMetric] = field(default_factory=list)


class LoggedModelAnswer(Answer):
    info: LoggedModelInfo | None = None
    data: LoggedModelData | None = None


class OneLoggedModel(Answer):
    model: LoggedModelAnswer | None = None


class LoggedModels(Answer):
    models: list[LoggedModelAnswer] = field(default_factory=list)
    next_page_token: str | None = None


class CreateLoggedModel(Asked):
    REQUIRED: ClassVar = ("experiment_id",)
    experiment_id: str = ""
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class ReadLoggedModel(Asked):
    allow_deleted: str | None = None


class FinalizeLoggedModel(Asked):
    """status: MLflow's name for it, or its number."""

    REQUIRED: ClassVar = ("status",)
    model_id: str | None = None
    status: str | int | None = None


class LoggedModelTags(Asked):
    tags: list[Pair] | None = None


class LoggedModelParams(Asked):
    params: list[Pair] | None = None


class SearchedDataset(Struct):
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchOrder(Struct):
    field_name: str | None = None
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchLoggedModels(Asked):
    REQUIRED: ClassVar = ("experiment_ids",)
    experiment_ids: list[str] | None = None
    filter: str | None = None
    datasets: list[SearchedDataset] | None = None
    max_results: int | None = None
    order_by: list[SearchOrder] | None = None
    page_token: str | None = None


class ListDirectory(Asked):
    artifact_directory_path: str | None = None
    page_token: str | None = None


class ListFolder(Asked):
    path: str | None = None


class FileAnswer(Answer):
    path: str | None = None
    is_dir: bool | None = None
    file_size: int | None = None


class Files(Answer):
    root_uri: str | None = None
    files: list[FileAnswer] = field(default_factory=list)


class CreateMultipart(Asked):
    """path: of the file on the client's machine, whose last segment names the artifact."""

    REQUIRED: ClassVar = ("path",)
    path: str = ""
    num_parts: int | None = None


class SentPart(Struct):
    part_number: int | None = None
    etag: str | None = None
    url: str | None = None


class CompleteMultipart(Asked):
    REQUIRED: ClassVar = ("path", "parts")
    path: str = ""
    upload_id: str | None = None
    parts: list[SentPart] | None = None


class AbortMultipart(Asked):
    REQUIRED: ClassVar = ("path",)
    path: str = ""
    upload_id: str | None = None


class PartAddress(Answer):
    url: str | None = None
    part_number: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Multipart(Answer):
    upload_id: str | None = None
    credentials: list[PartAddress] = field(default_factory=list)


class SignedDownload(Answer):
    """Reading it takes no headers: all that the store checks stands in the address."""

    url: str
    file_size: int | None = None


class PresignedUpload(Asked):
    REQUIRED: ClassVar = ("path",)
    run_id: str | None = None
    model_id: str | None = None
    path: str = ""
    expiration: int | None = None


class PresignedDownload(Asked):
    REQUIRED: ClassVar = ("run_id", "path")
    run_id: str = ""
    path: str = ""
    expiration: int | None = None
