"""When a generation is live, and what the histograms of the workers say about latency. Pure rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.domains.serving.rules.liveness import leased, merge, percentile_ms, status_of
from tilth.wire.plane import LATENCY_BOUNDS_US, DeploymentStatus, VersionStatus, WorkerStatus


def worker(name: str, written: int = 0, **fields: object) -> WorkerStatus:
    deployments = (DeploymentStatus("d", **fields),) if fields else ()  # type: ignore[arg-type]
    return WorkerStatus(name, 1, 0, written, 1, deployments)


def test_live_means_acknowledged_by_every_worker() -> None:
    assert status_of("d", 2, [worker("w0", acknowledged=2), worker("w1", acknowledged=2)]).state == "live"
    one_behind = status_of("d", 2, [worker("w0", acknowledged=2), worker("w1", acknowledged=1)])
    assert (one_behind.state, one_behind.live, one_behind.serving) == ("pending", False, [1, 2])


def test_a_worker_that_never_heard_of_the_deployment_is_pending() -> None:
    assert status_of("d", 1, [worker("w0", acknowledged=1), worker("w1")]).state == "pending"


def test_without_workers_nothing_is_served() -> None:
    assert status_of("d", 1, []).state == "unserved"


def test_a_worker_whose_lease_ran_out_need_not_acknowledge() -> None:
    workers = leased([worker("w1", written=0), worker("w0", written=5_000, acknowledged=1)], 10_000)
    assert [each.worker for each in workers] == ["w0"]
    assert status_of("d", 1, workers).state == "live"


def test_loading_is_told_from_waiting() -> None:
    loading = worker("w0", acknowledged=1, versions=(VersionStatus("m/2", "loading"),))
    assert status_of("d", 2, [loading, worker("w1", acknowledged=2)]).state == "loading"


def test_a_refused_generation_is_failed_with_its_reason_while_the_old_one_serves() -> None:
    refused = worker("w0", acknowledged=1, failed_generation=2, error="manifest does not match")
    status = status_of("d", 2, [refused, worker("w1", acknowledged=1)])
    assert (status.state, status.error, status.serving) == ("failed", "manifest does not match", [1])


def test_a_newer_generation_forgets_the_failure_of_an_older_one() -> None:
    status = status_of("d", 3, [worker("w0", acknowledged=1, failed_generation=2, error="broken")])
    assert (status.state, status.error) == ("pending", "")


def test_requests_errors_and_refusals_add_up_over_workers() -> None:
    workers = [worker("w0", acknowledged=1, requests=3, errors=1, refused=2), worker("w1", acknowledged=1, requests=4, refused=1)]
    status = status_of("d", 1, workers)
    assert (status.requests, status.errors, status.refused) == (7, 1, 3)
    assert [(view.errors, view.refused) for view in status.workers] == [(1, 2), (0, 1)]


def test_what_is_out_of_the_ordinary_with_a_version_is_noted() -> None:
    versions = (
        VersionStatus("m/1", "ready", restarts=2, error="held 400 MB, above its memory_mb of 350"),
        VersionStatus("m/2", "unloaded"),
        VersionStatus("m/3", "stuck", error="a prediction does not end"),
        VersionStatus("m/4", "ready"),
        VersionStatus("m/5", "ready", remark="hung"),
    )
    (view,) = status_of("d", 1, [worker("w0", acknowledged=1, versions=versions)]).workers
    assert view.condition == "live"
    assert view.notes.split("; ") == [
        "m/1 was started again 2 times, the last process held 400 MB, above its memory_mb of 350",
        "m/2 is unloaded until its next request",
        "m/3 is stuck: a prediction does not end",
        "m/5 hung",
    ]


def test_errors_of_the_last_minute_of_all_model_servers_are_added_up() -> None:
    workers = [worker("w0", acknowledged=1, errors=7, window_errors=2), worker("w1", acknowledged=1, errors=1)]
    seen = status_of("d", 1, workers)
    assert (seen.errors, seen.recent_errors) == (8, 2)


def test_no_requests_have_no_percentiles() -> None:
    assert percentile_ms([0] * 10, 0.5) is None
    assert status_of("d", 1, [worker("w0", acknowledged=1)]).latency.p99_ms is None


def test_the_state_of_a_deployment_tells_the_median_and_what_one_in_twenty_and_one_in_a_hundred_exceed() -> None:
    buckets = [0] * (len(LATENCY_BOUNDS_US) + 1)
    buckets[0], buckets[20], buckets[30] = 940, 40, 20
    seen = status_of("d", 1, [worker("w0", acknowledged=1, window_buckets=buckets)]).latency
    assert seen.p50_ms <= LATENCY_BOUNDS_US[0] / 1000 < seen.p95_ms <= LATENCY_BOUNDS_US[20] / 1000 < seen.p99_ms


def test_requests_beyond_the_last_bound_count_as_the_bound() -> None:
    assert percentile_ms(merge([[0] * len(LATENCY_BOUNDS_US) + [5]]), 0.5) == LATENCY_BOUNDS_US[-1] / 1000


@given(
    st.lists(st.lists(st.floats(min_value=10, max_value=50_000_000), max_size=60), min_size=1, max_size=4),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_percentiles_of_merged_histograms_agree_with_numpy_to_a_bucket(groups: list[list[float]], share: float) -> None:
    values = [value for group in groups for value in group]
    histograms = [
        np.bincount(np.searchsorted(LATENCY_BOUNDS_US, group), minlength=len(LATENCY_BOUNDS_US) + 1).tolist() if group else []
        for group in groups
    ]
    found = percentile_ms(merge(histograms), share)
    if not values:
        assert found is None
        return
    exact = float(np.quantile(values, share, method="inverted_cdf")) / 1000
    assert found == pytest.approx(exact, rel=0.11, abs=0.011)
