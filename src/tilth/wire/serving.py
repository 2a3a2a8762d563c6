"""Deployments as our own API writes and reads them. Moments in ms since the epoch, latencies in ms."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tilth.wire.plane import LoadWhen, LogSync, ModelEnvironment, OnLogFailure
from tilth.wire.shipping import Redaction

DeploymentState = Literal["pending", "loading", "live", "failed", "unserved"]
"""pending: published, not yet acknowledged · loading: a worker is at it · live: every worker serves this generation ·
failed: a worker refused it, what served before serves on · unserved: no model server is there."""


class DeploymentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """max_queue_rows: rows that may wait in a worker before it answers 503. log_sync `each`: a prediction is on disk before its answer.

    label_key: input columns, or `route_key` or `request_id`, that a label may name instead of a prediction; the label is then of every
    prediction of that key which lies at most label_window_s (30 days) before the label's moment.

    keep_predictions_days: files of predictions whose last one is older are deleted. redact: inputs and outputs that are hashed, or dropped,
    before a prediction is kept. log_sample: parts of 10,000 of the predictions that are kept.

    process, environment, python, memory_mb, threads, min_processes, max_processes, predict_timeout_s, load and idle_unload_s: where and
    how the versions run, see wire.plane.PlaneRuntime.
    """

    max_body_bytes: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 10_000_000
    max_queue_rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 4096
    on_log_failure: OnLogFailure = "serve"
    log_sync: LogSync = "interval"
    label_key: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=250)], ...], Meta(max_length=8)] = ()
    label_window_s: Annotated[int, Meta(ge=1, le=31_622_400)] = 2_592_000
    keep_predictions_days: Annotated[int, Meta(ge=1, le=3660)] = 90
    redact: Annotated[dict[Annotated[str, Meta(min_length=1, max_length=250)], Redaction], Meta(max_length=200)] = {}
    log_sample: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    process: bool = False
    environment: ModelEnvironment = "server"
    python: Annotated[str, Meta(max_length=1000)] = ""
    memory_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    threads: Annotated[int, Meta(ge=1, le=256)] = 1
    min_processes: Annotated[int, Meta(ge=1, le=64)] = 1
    max_processes: Annotated[int, Meta(ge=1, le=64)] = 1
    predict_timeout_s: Annotated[float, Meta(ge=0.1, le=3600)] = 30.0
    load: LoadWhen = "eager"
    idle_unload_s: Annotated[float, Meta(ge=0, le=2_592_000)] = 300.0


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    """What the deployment shall serve: a version, or an alias that it follows from now on; neither means the newest version.

    settings: those to change, by the names of DeploymentSettings; what is left out stays as it is. cancel_rollout: end one that is
    under way, which would otherwise be in the way (409).
    """

    model: str
    version: int | None = None
    alias: str | None = None
    settings: dict[str, Any] | None = None
    note: str = ""
    cancel_rollout: bool = False


class RollBack(msgspec.Struct, forbid_unknown_fields=True):
    """to_generation left out: the last one that served another version."""

    to_generation: int | None = None
    note: str = ""
    cancel_rollout: bool = False


class VersionShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """percent of the requests: more than 0, with at most two decimals."""

    version: int
    percent: float


class Split(msgspec.Struct, forbid_unknown_fields=True):
    """The shares of all versions that shall answer, adding up to 100 %."""

    shares: Annotated[list[VersionShare], Meta(min_length=1, max_length=10)]
    note: str = ""
    cancel_rollout: bool = False


class RouteView(msgspec.Struct, frozen=True):
    """share of the requests, 0 to 1."""

    version: int
    share: float


class LatencyView(msgspec.Struct, frozen=True):
    """Percentiles in ms over the last `window_s` seconds of all workers; None without requests. Accurate to a bucket of 10 %."""

    requests: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    window_s: float


class WorkerView(msgspec.Struct, frozen=True):
    """generation: the one that this worker serves (0: none). condition and error: of the wanted generation. notes: what is out of the
    ordinary with its versions: one that is stuck, unloaded, or whose processes were started again. errors: answers that the server or the
    model is to blame for (5xx); refused: those that the caller is (4xx). Both count since the start of the worker."""

    worker: str
    generation: int
    condition: DeploymentState
    error: str
    engine: str
    requests: int
    errors: int
    log_failures: int
    notes: str = ""
    refused: int = 0


class StatusView(msgspec.Struct, frozen=True):
    """state: of the wanted generation. serving: generations that answer requests now. error: of the first worker that has one.
    errors and refused: see WorkerView; recent_errors: of the last latency.window_s seconds. unkept: what there is to say of predictions
    that are not kept, else empty."""

    state: DeploymentState
    live: bool
    error: str
    serving: list[int]
    workers: list[WorkerView]
    requests: int
    rows: int
    errors: int
    latency: LatencyView
    latency_since_start: LatencyView
    refused: int = 0
    recent_errors: int = 0
    unkept: str = ""


class DeploymentView(msgspec.Struct, frozen=True):
    """version: the one with the largest share. alias: the one it follows, None when it is pinned.

    problem: why it does not follow its alias just now.
    """

    id: str
    name: str
    project: str
    model: str
    alias: str | None
    version: int
    generation: int
    routes: list[RouteView]
    settings: DeploymentSettings
    created: int
    updated: int
    changed_by: str
    problem: str
    url: str
    status: StatusView


class DeploymentPage(msgspec.Struct, frozen=True):
    deployments: list[DeploymentView]
    total: int


class GenerationView(msgspec.Struct, frozen=True):
    """cause: deploy, alias, rollback, split or rollout. from_version None: the first generation."""

    generation: int
    cause: str
    alias: str | None
    from_version: int | None
    version: int
    routes: list[RouteView]
    settings: DeploymentSettings
    note: str
    created: int
    by: str


class DeploymentDetail(msgspec.Struct, frozen=True):
    """generations: newest first, at most 200."""

    deployment: DeploymentView
    generations: list[GenerationView]
