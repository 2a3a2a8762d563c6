"""Our own API of logged models, registered models, versions, aliases and cards."""

from tilth.domains.models.api import comments, evaluations, imports, life, mlflow, registry, trash, uploads

routes = [
    *uploads.routes,
    *registry.routes,
    *evaluations.routes,
    *life.routes,
    *imports.routes,
    *trash.routes,
    *comments.routes,
    *mlflow.routes,
]

__all__ = ["routes"]
