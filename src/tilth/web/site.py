"""Every page route, in the order of the navigation."""

from __future__ import annotations

from typing import Any

from tilth.web.pages import (
    account,
    artifacts,
    audit,
    comments,
    compare,
    deployments,
    entry,
    mlflow_links,
    models,
    overview,
    people,
    run,
    run_charts,
    run_files,
    run_forms,
    runs,
    runs_bulk,
    runs_columns,
    runs_csv,
    settings,
    sweeps,
    version,
    version_diff,
    webhooks,
)
from tilth.web.statics import static_file

routes: list[Any] = [
    static_file,
    *entry.routes,
    *overview.routes,
    *runs.routes,
    *runs_bulk.routes,
    *runs_columns.routes,
    *runs_csv.routes,
    *compare.routes,
    *run.routes,
    *run_charts.routes,
    *run_files.routes,
    *run_forms.routes,
    *artifacts.routes,
    *sweeps.routes,
    *models.routes,
    *version_diff.routes,
    *version.routes,
    *mlflow_links.routes,
    *deployments.routes,
    *audit.routes,
    *comments.routes,
    *settings.routes,
    *people.routes,
    *account.routes,
    *webhooks.routes,
]
