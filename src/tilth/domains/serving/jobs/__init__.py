"""What goes on beside requests."""

from tilth.domains.serving.jobs.labels import forget_old_labels
from tilth.domains.serving.jobs.plane import PlanePublisher, StatusReader, read_state, write_synced
from tilth.domains.serving.jobs.predictions import ShippingDesk, keep_to_time
from tilth.domains.serving.jobs.reading import PredictionReader
from tilth.domains.serving.jobs.rollouts import RolloutJudge

__all__ = [
    "PlanePublisher",
    "PredictionReader",
    "RolloutJudge",
    "ShippingDesk",
    "StatusReader",
    "forget_old_labels",
    "keep_to_time",
    "read_state",
    "write_synced",
]
