"""What the server holds of a run that is to be made again."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tilth.cli.client import Api
from tilth.core.errors import Damaged, NotFound
from tilth.core.hashing import content_address
from tilth.sdk.code import DIFF, PACKAGES
from tilth.wire.sweeps import PARAMS_TAG, SPEC_TAG, SweepSpec
from tilth.wire.tracking import ArtifactEntry, ArtifactList, Environment, GitState, RunDetail

MAX_READ_BYTES = 64 << 20


class NothingRecorded(NotFound):
    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} does not say what made it: its client recorded neither code nor environment; "
            "runs of `tilth.run()` and `tilth exec` do"
        )


@dataclass(frozen=True, slots=True)
class Record:
    """A run, what made it, and its artifacts by path. trial: params as JSON, of a program that a sweep started."""

    detail: RunDetail
    made_by: Environment
    files: dict[str, ArtifactEntry]
    trial: str = ""

    @property
    def has_diff(self) -> bool:
        return DIFF in self.files

    @property
    def has_packages(self) -> bool:
        return PACKAGES in self.files


def read_record(api: Api, run_id: str) -> Record:
    """Raises NothingRecorded, and what the server refuses."""
    detail = msgspec.convert(api.get(api.in_project("runs", run_id)), RunDetail)
    made_by = detail.environment or _told_by_mlflow(detail.tags)
    if made_by is None:
        raise NothingRecorded(run_id)
    listed = msgspec.convert(api.get(api.in_project("runs", run_id, "artifacts"), recursive="true"), ArtifactList)
    return Record(detail, made_by, {entry.path: entry for entry in listed.files if not entry.is_dir}, _trial(api, detail))


def _trial(api: Api, detail: RunDetail) -> str:
    params, sweep = detail.tags.get(PARAMS_TAG, ""), detail.run.parent_run_id
    if not params or sweep is None:
        return ""
    spec = msgspec.convert(api.get(api.in_project("runs", sweep)), RunDetail).tags.get(SPEC_TAG, "")
    try:
        return params if msgspec.json.decode(spec, type=SweepSpec).command else ""
    except msgspec.MsgspecError:
        return ""


def _told_by_mlflow(tags: dict[str, str]) -> Environment | None:
    """MLflow's client notes the commit: enough for a folder, not for a start."""
    commit = tags.get("mlflow.source.git.commit")
    return Environment(git=GitState(commit, remote=tags.get("mlflow.source.git.repoURL", ""))) if commit else None


def read_file(api: Api, record: Record, path: str) -> bytes:
    """An artifact of at most 64 MiB, checked against its digest. Raises Damaged."""
    entry = record.files[path]
    if entry.size > MAX_READ_BYTES:
        raise Damaged(f"artifact {path!r} of run {record.detail.run.id} has {entry.size:,} bytes, too many for code")
    data = b"".join(api.pieces(api.in_project("runs", record.detail.run.id, "artifacts", *path.split("/"))))
    if content_address(data) != entry.digest:
        raise Damaged(f"artifact {path!r} of run {record.detail.run.id} does not match its digest; `tilth doctor` looks further")
    return data
