"""Our own API of experiments, runs and artifacts."""

from tilth.domains.tracking.api import artifacts, experiments, runs, uploads

routes = [*experiments.routes, *runs.routes, *artifacts.routes, *uploads.routes]

__all__ = ["routes"]
