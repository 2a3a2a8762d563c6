"""Changes of deployments and of what belongs to them."""

from tilth.domains.serving.actions.deployments import deploy, rollback, split, undeploy
from tilth.domains.serving.actions.following import follow_alias
from tilth.domains.serving.actions.labels import declare_label_key, forget_old_labels, keep_scores, log_labels, read_labels
from tilth.domains.serving.actions.predictions import keep_predictions
from tilth.domains.serving.actions.shadows import start_shadow, stop_shadow

__all__ = [
    "declare_label_key",
    "deploy",
    "follow_alias",
    "forget_old_labels",
    "keep_predictions",
    "keep_scores",
    "log_labels",
    "read_labels",
    "rollback",
    "split",
    "start_shadow",
    "stop_shadow",
    "undeploy",
]
