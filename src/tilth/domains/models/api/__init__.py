"""Our own API of logged models, registered models, versions, aliases and cards."""

from tilth.domains.models.api import comments, evaluations, imports, life, mlflow, provenance, registry, trash, uploads

routes = [
    *uploads.routes,
    *registry.routes,
    *evaluations.routes,
    *life.routes,
    *imports.routes,
    *provenance.routes,
    *trash.routes,
    *comments.routes,
    *mlflow.routes,
]

__all__ = ["routes"]
