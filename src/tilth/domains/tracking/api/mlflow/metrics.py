"""Curves in MLflow's protocol: raw, page by page, or sampled for several runs at once."""

from __future__ import annotations

from collections.abc import Iterable

from tilth.backends.sql import Row, Tx
from tilth.domains.tracking.api.mlflow.words import no_run
from tilth.domains.tracking.queries import hot
from tilth.domains.tracking.queries.raw_points import points_page, sampled_points
from tilth.guard import Access, Permission, mlflow_route
from tilth.wire.mlflow import SEE_DOCS, invalid, to_wire
from tilth.wire.mlflow_paging import offset_of, token_of
from tilth.wire.mlflow_tracking import GetBulkInterval, GetHistory, Metric, Metrics

PAGE_POINTS = 100_000
"""Clients follow next_page_token, so that no answer has to hold a million points."""
MAX_RUNS = 100
DEFAULT_SAMPLE = 2500


# A long curve is compressed for longer than it travels.
@mlflow_route("GET", "/metrics/get-history", permission=Permission.RUN_READ, opt={"tilth_uncompressed": True})
async def get_history(access: Access[None], wanted: GetHistory) -> Metrics:
    if wanted.max_results is not None and wanted.max_results <= 0:
        raise invalid(f"Invalid value {wanted.max_results} for parameter 'max_results' supplied. It must be a positive integer.")
    most = min(PAGE_POINTS, wanted.max_results or PAGE_POINTS)
    offset, key, project = offset_of(wanted.page_token), wanted.metric_key or "", access.project.id

    def page(tx: Tx) -> Metrics:
        if hot.run_head(tx, project, wanted.run) is None:
            raise no_run(wanted.run)
        found = points_page(tx, wanted.run, key, limit=most + 1, offset=offset)
        token = token_of(offset + most) if len(found) > most else None
        return Metrics(_points(key, found[:most]), token)

    return await access.read(page)


@mlflow_route("GET", "/metrics/get-history-bulk-interval", permission=Permission.RUN_READ)
async def get_history_bulk_interval(access: Access[None], wanted: GetBulkInterval) -> Metrics:
    """At most max_results points of each run, evenly taken; the first and the last of each are among them."""
    run_ids, key, project = list(dict.fromkeys(wanted.run_ids or ())), wanted.metric_key or "", access.project.id
    if len(run_ids) > MAX_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request cannot specify more than {MAX_RUNS} run_ids. Received {len(run_ids)} run_ids."
        )
    steps = _interval(wanted)
    most = _sample_size(wanted.max_results)

    def sample(tx: Tx) -> Metrics:
        metrics: list[Metric] = []
        for run_id in run_ids:
            if hot.run_head(tx, project, run_id) is None:
                raise no_run(run_id)
            metrics += _points(key, sampled_points(tx, run_id, key, most=most, steps=steps), run_id)
        return Metrics(metrics)

    return await access.read(sample)


def _sample_size(given: int | None) -> int:
    if given is not None and not 1 <= given <= DEFAULT_SAMPLE:
        raise invalid(f"max_results must be between 1 and {DEFAULT_SAMPLE}.{SEE_DOCS}")
    return given or DEFAULT_SAMPLE


def _interval(wanted: GetBulkInterval) -> tuple[int, int] | None:
    start, end = wanted.start_step, wanted.end_step
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise invalid("If either start step or end step are specified, both must be specified.")
    if start > end:
        raise invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    return start, end


def _points(key: str, rows: Iterable[Row], run_id: str | None = None) -> list[Metric]:
    """By position throughout: a page has up to a hundred thousand of them."""
    return [
        Metric(key, to_wire(value), ts, step, model_id, dataset_name, dataset_digest, run_id)
        for step, ts, value, model_id, dataset_name, dataset_digest, *_ in rows
    ]


routes = [get_history, get_history_bulk_interval]
