"""Models in processes of their own: what needs other packages, may crash, or cannot be trusted beside the model server."""

from tilth.plane.executors.pool import ProcessPool
from tilth.plane.executors.process import ModelHung, ModelProcessDied, ModelProcessFailed, ModelRaised

__all__ = ["ModelHung", "ModelProcessDied", "ModelProcessFailed", "ModelRaised", "ProcessPool"]
