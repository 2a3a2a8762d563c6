"""Tables of deployments and of what belongs to them."""

from tilth.domains.serving.tables.deployments import deployment, deployment_generation

__all__ = ["deployment", "deployment_generation"]
