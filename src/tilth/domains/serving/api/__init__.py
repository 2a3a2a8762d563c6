"""Routes of deployments and of what belongs to them."""

from tilth.domains.serving.api import deployments, labels, predictions, rollouts, shipping

routes = [*deployments.routes, *labels.routes, *predictions.routes, *rollouts.routes, *shipping.routes]

__all__ = ["routes"]
