"""Sweeps: many trials of one training, each a run below the run of the sweep."""

from tilth.sdk.sweeps.board import TrialResult
from tilth.sdk.sweeps.calling import SweepResult, sweep
from tilth.sdk.sweeps.errors import TrialStopped
from tilth.sdk.sweeps.trial import Trial

__all__ = ["SweepResult", "Trial", "TrialResult", "TrialStopped", "sweep"]
