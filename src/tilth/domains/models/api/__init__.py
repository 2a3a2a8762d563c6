"""Our own API of logged models, registered models, versions, aliases and cards."""

from tilth.domains.models.api import registry, trash, uploads

routes = [*uploads.routes, *registry.routes, *trash.routes]

__all__ = ["routes"]
