"""What goes on beside requests."""

from tilth.domains.serving.jobs.plane import PlanePublisher, StatusReader, read_state, write_synced
from tilth.domains.serving.jobs.predictions import ShippingDesk, keep_to_time
from tilth.domains.serving.jobs.reading import PredictionReader

__all__ = [
    "PlanePublisher",
    "PredictionReader",
    "ShippingDesk",
    "StatusReader",
    "keep_to_time",
    "read_state",
    "write_synced",
]
