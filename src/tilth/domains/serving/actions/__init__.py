"""Changes of deployments and of what belongs to them."""

from tilth.domains.serving.actions.deployments import deploy, follow_alias, rollback, split, undeploy
from tilth.domains.serving.actions.labels import forget_old_labels, keep_scores, log_labels, read_labels
from tilth.domains.serving.actions.predictions import keep_predictions

__all__ = [
    "deploy",
    "follow_alias",
    "forget_old_labels",
    "keep_predictions",
    "keep_scores",
    "log_labels",
    "read_labels",
    "rollback",
    "split",
    "undeploy",
]
