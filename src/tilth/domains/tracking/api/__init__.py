"""Our own API of experiments, runs and artifacts."""

from tilth.domains.tracking.api import artifacts, care, comments, curves, experiments, imports, runs, uploads

routes = [*experiments.routes, *curves.routes, *runs.routes, *artifacts.routes, *care.routes, *imports.routes, *uploads.routes, *comments.routes]

__all__ = ["routes"]
