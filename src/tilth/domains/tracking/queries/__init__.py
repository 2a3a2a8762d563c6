"""Questions about runs. Everything is asked within one project."""

from tilth.domains.tracking.queries.artifacts import artifact_entry, artifacts_of
from tilth.domains.tracking.queries.columns import rows_with_values
from tilth.domains.tracking.queries.experiments import experiment_detail, experiment_row, experiments
from tilth.domains.tracking.queries.groups import run_groups
from tilth.domains.tracking.queries.known import keys_there_are, values_there_are
from tilth.domains.tracking.queries.metrics import latest_metrics, metric_histories, metric_keys, metric_summaries
from tilth.domains.tracking.queries.runs import (
    children_of,
    known_keys,
    params_of,
    run_detail,
    run_info,
    run_infos,
    running_runs,
    tags_of,
)
from tilth.domains.tracking.queries.search import RunsPage, runs_page
from tilth.domains.tracking.queries.sweeps import sweep_view, sweeps_page, trials_page

__all__ = [
    "RunsPage",
    "artifact_entry",
    "artifacts_of",
    "children_of",
    "experiment_detail",
    "experiment_row",
    "experiments",
    "keys_there_are",
    "known_keys",
    "latest_metrics",
    "metric_histories",
    "metric_keys",
    "metric_summaries",
    "params_of",
    "rows_with_values",
    "run_detail",
    "run_groups",
    "run_info",
    "run_infos",
    "running_runs",
    "runs_page",
    "sweep_view",
    "sweeps_page",
    "tags_of",
    "trials_page",
    "values_there_are",
]
