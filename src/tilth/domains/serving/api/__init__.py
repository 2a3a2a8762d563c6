"""Routes of deployments and of what belongs to them."""

from tilth.domains.serving.api import ab_tests, deployments, labels, predictions, rollouts, shadows, shipping

routes = [
    *ab_tests.routes,
    *deployments.routes,
    *labels.routes,
    *predictions.routes,
    *rollouts.routes,
    *shadows.routes,
    *shipping.routes,
]

__all__ = ["routes"]
