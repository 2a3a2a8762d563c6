"""Our own API of experiments, runs and artifacts, and MLflow's beside it."""

from tilth.domains.tracking.api import (
    artifacts,
    care,
    comments,
    curves,
    experiments,
    exports,
    imports,
    mlflow,
    runs,
    search,
    sweeps,
    uploads,
)

routes = [
    *experiments.routes,
    *curves.routes,
    *search.routes,
    *runs.routes,
    *artifacts.routes,
    *care.routes,
    *imports.routes,
    *exports.routes,
    *uploads.routes,
    *sweeps.routes,
    *mlflow.routes,
    *comments.routes,
]

__all__ = ["routes"]
