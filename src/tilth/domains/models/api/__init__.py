"""Our own API of logged models, registered models, versions, aliases and cards."""

from tilth.domains.models.api import comments, evaluations, imports, life, registry, trash, uploads

routes = [*uploads.routes, *registry.routes, *evaluations.routes, *life.routes, *imports.routes, *trash.routes, *comments.routes]

__all__ = ["routes"]
