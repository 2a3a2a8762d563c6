"""MLflow's protocol over the same actions and questions as our own API: experiments, runs, metrics, artifacts in lists."""

from tilth.domains.tracking.api.mlflow import experiments, logging, metrics, runs, search

routes = [*experiments.routes, *runs.routes, *logging.routes, *metrics.routes, *search.routes]

__all__ = ["routes"]
