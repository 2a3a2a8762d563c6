"""What goes on beside requests."""

from tilth.domains.serving.jobs.plane import PlanePublisher, StatusReader, read_state, write_synced

__all__ = ["PlanePublisher", "StatusReader", "read_state", "write_synced"]
