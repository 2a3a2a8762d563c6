"""Whether a generation is live, judged from what the workers say of themselves; and latency percentiles from their histograms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tilth.wire.plane import LATENCY_BOUNDS_US, LEASE_MS, DeploymentStatus, VersionStatus, WorkerStatus
from tilth.wire.serving import DeploymentState, LatencyView, StatusView, WorkerView


def leased(workers: Iterable[WorkerStatus], now: int) -> list[WorkerStatus]:
    """Workers whose status is younger than 10 s; a moment in the future counts as now. Sorted by name."""
    return sorted((worker for worker in workers if now - worker.written < LEASE_MS), key=lambda worker: worker.worker)


def status_of(deployment_id: str, generation: int, workers: Sequence[WorkerStatus]) -> StatusView:
    """What the leased `workers` make of this generation. Live = acknowledged by every one of them."""
    seen = [(worker, _of(deployment_id, worker)) for worker in workers]
    views = [_worker_view(worker, status, generation) for worker, status in seen]
    known = [status for _, status in seen if status is not None]
    state = _state(views)
    return StatusView(
        state=state,
        live=state == "live",
        error=next((view.error for view in views if view.error), ""),
        serving=sorted({status.acknowledged for status in known if status.acknowledged}),
        workers=views,
        requests=sum(status.requests for status in known),
        rows=sum(status.rows for status in known),
        errors=sum(status.errors for status in known),
        latency=_latency([status.window_buckets for status in known], max((s.window_s for s in known), default=60.0)),
        latency_since_start=_latency([status.latency_buckets for status in known], 0.0),
        refused=sum(status.refused for status in known),
        recent_errors=sum(status.window_errors for status in known),
    )


def _of(deployment_id: str, worker: WorkerStatus) -> DeploymentStatus | None:
    return next((status for status in worker.deployments if status.id == deployment_id), None)


def _worker_view(worker: WorkerStatus, status: DeploymentStatus | None, generation: int) -> WorkerView:
    if status is None:
        return WorkerView(worker.worker, 0, "pending", "", "", 0, 0, 0)
    condition = _condition(status, generation)
    return WorkerView(
        worker=worker.worker,
        generation=status.acknowledged,
        condition=condition,
        error=_error(status) if condition == "failed" else "",
        engine=", ".join(sorted({version.engine for version in status.versions if version.engine})),
        requests=status.requests,
        errors=status.errors,
        log_failures=status.log_failures,
        notes="; ".join(note for version in status.versions for note in _notes(version)),
        refused=status.refused,
    )


def _condition(status: DeploymentStatus, generation: int) -> DeploymentState:
    if status.acknowledged >= generation:
        return "live"
    if status.failed_generation >= generation:
        return "failed"
    return "loading" if any(version.condition == "loading" for version in status.versions) else "pending"


def _notes(version: VersionStatus) -> Iterator[str]:
    often = "once" if version.restarts == 1 else f"{version.restarts} times"
    restarts = f"started again {often}, the last process {version.error}" if version.restarts else ""
    if version.remark:
        yield f"{version.key} {version.remark}"
    match version.condition:
        case "stuck" | "restarting":
            yield f"{version.key} is {version.condition}: {restarts or version.error}"
        case "unloaded":
            yield f"{version.key} is unloaded until its next request"
        case _ if restarts:
            yield f"{version.key} was {restarts}"


def _error(status: DeploymentStatus) -> str:
    return status.error or next(
        (version.error for version in status.versions if version.error), "the model server gave no reason"
    )


def _state(views: Sequence[WorkerView]) -> DeploymentState:
    if not views:
        return "unserved"
    conditions = {view.condition for view in views}
    for state in ("failed", "loading", "pending"):
        if state in conditions:
            return state
    return "live"


def _latency(histograms: Sequence[Sequence[int]], window_s: float) -> LatencyView:
    merged = merge(histograms)
    p50, p95, p99 = (percentile_ms(merged, share) for share in (0.5, 0.95, 0.99))
    return LatencyView(sum(merged), p50, p95, p99, window_s)


def merge(histograms: Sequence[Sequence[int]]) -> list[int]:
    """Sum of histograms over LATENCY_BOUNDS_US; shorter ones count as zero beyond their end."""
    merged = [0] * (len(LATENCY_BOUNDS_US) + 1)
    for histogram in histograms:
        for index, count in enumerate(histogram[: len(merged)]):
            merged[index] += count
    return merged


def percentile_ms(buckets: Sequence[int], share: float) -> float | None:
    """The latency that `share` (0 to 1] of the requests did not exceed, in ms; None without requests.

    Within a bucket the requests count as spread evenly; beyond the last bound the answer is that bound (60 s).
    """
    total = sum(buckets)
    if total == 0:
        return None
    wanted, before = share * total, 0
    for index, count in enumerate(buckets):
        if count and before + count >= wanted:
            if index >= len(LATENCY_BOUNDS_US):
                return LATENCY_BOUNDS_US[-1] / 1000
            low = LATENCY_BOUNDS_US[index - 1] if index else 0
            within = (wanted - before) / count
            return (low + (LATENCY_BOUNDS_US[index] - low) * within) / 1000
        before += count
    return LATENCY_BOUNDS_US[-1] / 1000
