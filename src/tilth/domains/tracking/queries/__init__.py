"""Questions about runs. Everything is asked within one project."""

from tilth.domains.tracking.queries.artifacts import artifact_entry, artifacts_of
from tilth.domains.tracking.queries.experiments import experiment_detail, experiment_row, experiments
from tilth.domains.tracking.queries.metrics import latest_metrics, metric_histories, metric_keys, metric_summaries
from tilth.domains.tracking.queries.runs import (
    RunsPage,
    children_of,
    inputs_of,
    known_keys,
    params_of,
    recent_runs,
    run_detail,
    run_info,
    run_infos,
    running_runs,
    runs_page,
    tags_of,
)

__all__ = [
    "RunsPage",
    "artifact_entry",
    "artifacts_of",
    "children_of",
    "experiment_detail",
    "experiment_row",
    "experiments",
    "inputs_of",
    "known_keys",
    "latest_metrics",
    "metric_histories",
    "metric_keys",
    "metric_summaries",
    "params_of",
    "recent_runs",
    "run_detail",
    "run_info",
    "run_infos",
    "running_runs",
    "runs_page",
    "tags_of",
]
