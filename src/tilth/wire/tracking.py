"""Runs over HTTP: what clients send and what the tracking API answers. Moments are int milliseconds since the epoch, UTC.

JSON knows neither NaN nor the infinities, so a metric's value is a number or one of the words "NaN", "Infinity", "-Infinity".
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

RunStatus = Literal["scheduled", "running", "finished", "failed", "killed", "lost"]
EndStatus = Literal["finished", "failed", "killed"]
NotFinite = Literal["NaN", "Infinity", "-Infinity"]
MetricValue = float | NotFinite

MAX_KEY_CHARS = 250
MAX_PARAM_CHARS = 6000
MAX_TAG_CHARS = 8000
MAX_METRICS = 1000
MAX_PARAMS = 100
MAX_TAGS = 100
MAX_INPUTS = 100
MAX_NOTES_CHARS = 100_000
MAX_ERROR_CHARS = 100_000
DEFAULT_EXPERIMENT = "Default"
REPRODUCES_TAG = "tilth.reproduces"
"""Id of the run that this one makes again."""


def to_json_value(value: float) -> MetricValue:
    """The form in which a metric's value travels."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class Request(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what clients send: an unknown field is refused."""


class ExperimentCreate(Request):
    name: str
    tags: dict[str, str] = {}


class ExperimentUpdate(Request):
    name: str | UnsetType = UNSET
    tags: dict[str, str] | UnsetType = UNSET


class GitState(Struct, omit_defaults=True):
    """remote: without user name and password. dirty: whether the tree differed from the commit. root: folder of the working tree."""

    commit: str = ""
    branch: str = ""
    remote: str = ""
    dirty: bool = False
    root: str = ""


class Environment(Struct, omit_defaults=True):
    """Where and by what a run was made. memory_mb: of the machine. argv: values that look like secrets are masked.

    code: artifacts of the run that hold its code, where Git does not. locks: those that hold the environment as a lock file.
    cuda: versions of driver and toolkit.
    """

    git: GitState | None = None
    entry_point: str = ""
    argv: list[str] = []
    working_folder: str = ""
    python: str = ""
    platform: str = ""
    hostname: str = ""
    cpu_count: int = 0
    memory_mb: int = 0
    gpus: list[str] = []
    tilth: str = ""
    cpu: str = ""
    cuda: str = ""
    code: list[str] = []
    locks: list[str] = []
    ranks: int = 1


class ResourceUse(Struct, omit_defaults=True):
    """Of the run's own process, children included in cpu_s. Seconds and MiB."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_mb: float = 0.0


class RunCreate(Request):
    """id: chosen by the client, so that a repeated request makes one run. experiment: a name; made if it is not there."""

    id: str | None = None
    experiment: str | None = None
    experiment_id: str | None = None
    name: str | None = None
    parent_run_id: str | None = None
    started: int | None = None
    status: Literal["running", "scheduled"] = "running"
    source: str = ""
    notes: str = ""
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    environment: Environment | None = None


class RunUpdate(Request):
    """Fields that are left out stay as they are. error: traceback or reason of a failure."""

    name: str | UnsetType = UNSET
    parent_run_id: str | UnsetType = UNSET
    status: RunStatus | UnsetType = UNSET
    ended: int | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET
    resources: ResourceUse | UnsetType = UNSET


class MetricPoint(Request):
    """One value of one metric. ts: moment, the server's own if left out. model_id and dataset: what the value was measured on."""

    key: str
    value: MetricValue
    step: int = 0
    ts: int | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class DatasetInput(Request):
    """A data set that a run read. digest: of the content. schema and profile: JSON documents as text. tags: what else a client said."""

    name: str
    digest: str
    context: str = ""
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] | None = None


class LogBatch(Request):
    """All of it is kept, or nothing.

    writer and number: a client that repeats a batch after a lost answer sends the same pair again; numbers grow by writer, and a
    number that was seen already is acknowledged without effect. Left out: every request counts.
    """

    metrics: list[MetricPoint] = []
    params: dict[str, str] = {}
    tags: dict[str, str | None] = {}
    inputs: list[DatasetInput] = []
    writer: str = ""
    number: int = 0


class Experiment(Struct):
    """number: 0 for `Default`, counted up within the project. runs and running: not deleted ones."""

    id: str
    number: int
    name: str
    created: int
    updated: int
    deleted: bool
    tags: dict[str, str]
    runs: int = 0
    running: int = 0


class ExperimentList(Struct):
    experiments: list[Experiment]


class RunInfo(Struct):
    """started and ended: moments; last_heartbeat: None for a client that sends none."""

    id: str
    experiment_id: str
    experiment: str
    name: str
    status: RunStatus
    parent_run_id: str | None
    started: int
    ended: int | None
    user_id: str
    user_name: str
    source: str
    notes: str
    last_heartbeat: int | None
    deleted: bool


class MetricSummary(Struct):
    """value: at the greatest (step, ts, value). min and max leave NaN out (None if there is nothing else). count: points."""

    key: str
    value: MetricValue
    step: int
    ts: int
    min: MetricValue | None
    max: MetricValue | None
    count: int


class RunRow(Struct):
    """A run in a list, with the columns that were asked for."""

    run: RunInfo
    metrics: dict[str, MetricValue]
    params: dict[str, str]
    tags: dict[str, str]


class RunPage(Struct):
    """total: exact up to 10,000; beyond, total_text reads "10,000+"."""

    runs: list[RunRow]
    total: int
    total_text: str
    next_page_token: str = ""


class RunDetail(Struct):
    run: RunInfo
    error: str
    environment: Environment | None
    resources: ResourceUse | None
    metrics: list[MetricSummary]
    params: dict[str, str]
    tags: dict[str, str]
    inputs: list[DatasetInput]
    children: list[RunInfo]


class MetricHistory(Struct):
    """points: [step, ts, value]. At most as many as asked for; a longer history keeps the least and greatest of each stretch."""

    key: str
    points: list[tuple[int, int, MetricValue]]
    total: int


class RunCurve(Struct):
    """One metric of one run in columns of equal length (moments: or none). total: how many points were logged in the range asked for."""

    run_id: str
    name: str
    status: RunStatus
    steps: list[int]
    moments: list[int]
    values: list[MetricValue]
    total: int


class RunCurves(Struct):
    """One metric of many runs. most: how many points a curve has at most; lacking: how many of the runs do not have the metric."""

    key: str
    curves: list[RunCurve]
    most: int
    lacking: int
    running: bool


class ArtifactEntry(Struct):
    """path: from the root of the run. A folder has neither digest nor size."""

    path: str
    is_dir: bool
    size: int = 0
    digest: str = ""
    content_type: str = ""
    created: int = 0


class ArtifactList(Struct):
    files: list[ArtifactEntry]


def to_builtins(value: Any) -> Any:
    """A struct as dicts and lists, for documents that are stored as JSON."""
    return msgspec.to_builtins(value)
