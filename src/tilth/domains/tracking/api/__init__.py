"""Our own API of experiments, runs and artifacts."""

from tilth.domains.tracking.api import artifacts, experiments, runs

routes = [*experiments.routes, *runs.routes, *artifacts.routes]

__all__ = ["routes"]
