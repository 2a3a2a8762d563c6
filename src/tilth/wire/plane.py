"""Documents between the control process and the model servers.

Control writes `PlaneState` to `<home>/plane/state.json` by atomic rename; each worker applies it within a second and answers with a
`WorkerStatus` in `<home>/plane/status/<worker>.json` each second. Neither waits for the other: without control the last state serves on.
"""

from __future__ import annotations

from typing import Literal

import msgspec

STATE_PATH = "plane/state.json"
STATUS_FOLDER = "plane/status"
CACHE_FOLDER = "plane/cache"
TOKEN_PATH = "plane/token"
PREDICTIONS_FOLDER = "predictions"
OPEN_SUFFIX, CLOSED_SUFFIX = ".log", ".closed"
"""Of segments: while they are written, and once nobody will write to them again."""
REFUSED_FOLDER = "predictions/refused"
"""Segments that could not be shipped."""
ENVIRONMENTS_FOLDER = "plane/environments"
HUNG_FOLDER = "plane/hung"
SERVED_FOLDER = "plane/served"
LEASE_MS = 10_000
"""A worker whose status is older than this does not count: neither as live nor as one that must acknowledge."""

OnLogFailure = Literal["serve", "refuse"]
LogSync = Literal["interval", "each"]
VersionCondition = Literal["loading", "ready", "failed", "unloaded", "stuck", "restarting"]
"""unloaded: verified, and loaded again by its next request. stuck: a prediction does not end, and others are refused.
restarting: none of its processes answers just now."""
ModelEnvironment = Literal["server", "model"]
LoadWhen = Literal["eager", "lazy"]


class ModelFile(msgspec.Struct, frozen=True):
    path: str
    digest: str
    size: int


class PlaneVersion(msgspec.Struct, frozen=True):
    """One model version that a deployment may route to. `manifest_digest` seals `files` (core.hashing.Manifest)."""

    model: str
    version: int
    logged_model_id: str
    manifest_digest: str
    files: tuple[ModelFile, ...]

    @property
    def key(self) -> str:
        return f"{self.model}/{self.version}"


class PlaneRoute(msgspec.Struct, frozen=True):
    """`weight` parts of 10,000 of the requests go to `version` (a PlaneVersion.key)."""

    version: str
    weight: int


class PlaneRuntime(msgspec.Struct, frozen=True):
    """Where and how the versions of a deployment run.

    process: in processes of their own; so do they wherever the model's document says `isolated`, and where one of environment, python,
    memory_mb, threads or max_processes asks for what only a process can have. environment `model`: built from the model's requirements;
    python: path of an interpreter instead. memory_mb: a process that holds more is ended and started again; 0 is unbounded.
    predict_timeout_s: a prediction that takes longer is answered 504; its process is ended, or its thread left and the version refused
    until it returns. load `lazy`: loaded by the first request; unloaded after idle_unload_s without one (0: never for that).
    """

    process: bool = False
    environment: ModelEnvironment = "server"
    python: str = ""
    memory_mb: int = 0
    threads: int = 1
    min_processes: int = 1
    max_processes: int = 1
    predict_timeout_s: float = 30.0
    load: LoadWhen = "eager"
    idle_unload_s: float = 300.0

    @property
    def apart(self) -> bool:
        """Whether only processes of their own can give what is asked for."""
        return bool(
            self.process
            or self.environment == "model"
            or self.python
            or self.memory_mb
            or self.threads != 1
            or self.max_processes > 1
        )

    @property
    def most_processes(self) -> int:
        return max(self.min_processes, self.max_processes)


class PlaneDeployment(msgspec.Struct, frozen=True):
    """generation grows with every change of this deployment; workers acknowledge it once it serves."""

    id: str
    project_id: str
    project: str
    name: str
    generation: int
    versions: tuple[PlaneVersion, ...]
    routes: tuple[PlaneRoute, ...]
    salt: str = ""
    max_body_bytes: int = 10_000_000
    max_queue_rows: int = 4096
    on_log_failure: OnLogFailure = "serve"
    log_sync: LogSync = "interval"
    runtime: PlaneRuntime = PlaneRuntime()
    label_key: tuple[str, ...] = ()


class PlaneToken(msgspec.Struct, frozen=True):
    """A credential with the scope `predict`. projects: ids of the projects in which it may; expires: moment in ms, None for never."""

    sha256: str
    principal_id: str
    projects: tuple[str, ...]
    expires: int | None


class PlaneState(msgspec.Struct, frozen=True):
    """sequence grows with every written state; control_url is where model files are fetched from."""

    sequence: int
    written: int
    control_url: str
    deployments: tuple[PlaneDeployment, ...]
    tokens: tuple[PlaneToken, ...]
    format: int = 1


class VersionStatus(msgspec.Struct, frozen=True):
    """error: why it failed, or what last went wrong with a process of it. lane: where it predicts: `inline` with the event loop, in a
    `thread` or in `process`es; restarts: how often one of those ended unasked. memory_bytes: of the processes, or as measured at loading.
    remark: why it runs otherwise than its deployment says.
    """

    key: str
    condition: VersionCondition
    engine: str = ""
    error: str = ""
    lane: str = ""
    processes: int = 0
    restarts: int = 0
    memory_bytes: int = 0
    remark: str = ""


class VersionTally(msgspec.Struct, frozen=True):
    """What one worker counted of one version since its own start (`WorkerStatus.started`); a restarted worker begins anew at 0.

    Counts only grow while the worker lives: what happened within a window is the difference of two readings. errors: answers that
    the server or the model is to blame for (5xx, late ones and full queues too); refused: those that the caller is (4xx).
    latency_buckets: per bucket of LATENCY_BOUNDS_US. scores: count per bucket of wire.scores.SCORE_BOUNDS, buckets without any left out;
    missing_scores: answers without a finite number.
    """

    key: str
    requests: int = 0
    rows: int = 0
    errors: int = 0
    refused: int = 0
    latency_buckets: tuple[int, ...] = ()
    scores: dict[int, int] = {}
    missing_scores: int = 0


class DeploymentStatus(msgspec.Struct, frozen=True):
    """What one worker knows of one deployment.

    acknowledged: the generation it serves (0: none yet). failed_generation and error: the newest one it refused.
    latency_buckets: counts since the worker's start per bucket of LATENCY_BOUNDS_US; window_buckets, window_errors: over the last window_s.
    errors, refused and tallies (of each version that answered anything): as VersionTally has them.
    """

    id: str
    acknowledged: int
    failed_generation: int = 0
    error: str = ""
    versions: tuple[VersionStatus, ...] = ()
    requests: int = 0
    rows: int = 0
    errors: int = 0
    latency_buckets: tuple[int, ...] = ()
    window_buckets: tuple[int, ...] = ()
    window_s: float = 60.0
    log_failures: int = 0
    tallies: tuple[VersionTally, ...] = ()
    refused: int = 0
    window_errors: int = 0


class WorkerStatus(msgspec.Struct, frozen=True):
    worker: str
    pid: int
    started: int
    written: int
    sequence: int
    deployments: tuple[DeploymentStatus, ...]
    format: int = 1


def latency_bounds_us() -> tuple[int, ...]:
    """Upper bounds of the latency buckets in microseconds: 10 us to 60 s, each 1.1 times the one before; one more bucket takes the rest."""
    bounds = [10.0]
    while bounds[-1] < 60_000_000:
        bounds.append(bounds[-1] * 1.1)
    return tuple(round(bound) for bound in bounds)


LATENCY_BOUNDS_US = latency_bounds_us()
