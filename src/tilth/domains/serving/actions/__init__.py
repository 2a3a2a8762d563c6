"""Changes of deployments and of what belongs to them."""

from tilth.domains.serving.actions.deployments import deploy, follow_alias, rollback, split, undeploy

__all__ = ["deploy", "follow_alias", "rollback", "split", "undeploy"]
