"""MLflow's registry, logged models and artifact proxy, spoken over the same actions and queries as our own API."""

from tilth.domains.models.api.mlflow import artifacts, logged, models, multipart, versions

routes = [*models.routes, *versions.routes, *logged.routes, *artifacts.routes, *multipart.routes]

__all__ = ["routes"]
