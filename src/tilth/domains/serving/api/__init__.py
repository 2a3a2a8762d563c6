"""Routes of deployments and of what belongs to them."""

from tilth.domains.serving.api import deployments

routes = [*deployments.routes]

__all__ = ["routes"]
