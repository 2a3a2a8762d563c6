"""Our own API of experiments, runs and artifacts."""

from tilth.domains.tracking.api import artifacts, care, curves, experiments, runs, uploads

routes = [*experiments.routes, *curves.routes, *runs.routes, *artifacts.routes, *care.routes, *uploads.routes]

__all__ = ["routes"]
