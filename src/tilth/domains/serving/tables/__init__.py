"""Tables of deployments and of what belongs to them."""

from tilth.domains.serving.tables.ab_tests import ab_test
from tilth.domains.serving.tables.deployments import deployment, deployment_generation
from tilth.domains.serving.tables.labels import label, label_correction, scored_prediction
from tilth.domains.serving.tables.predictions import deployment_shadow, prediction_file, prediction_segment
from tilth.domains.serving.tables.rollouts import rollout, rollout_label_tally, rollout_step, rollout_verdict

__all__ = [
    "ab_test",
    "deployment",
    "deployment_generation",
    "deployment_shadow",
    "label",
    "label_correction",
    "prediction_file",
    "prediction_segment",
    "rollout",
    "rollout_label_tally",
    "rollout_step",
    "rollout_verdict",
    "scored_prediction",
]
