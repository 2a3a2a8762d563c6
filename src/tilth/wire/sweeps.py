"""Sweeps: what is searched, how, and the tags under which a sweep and its trials are known.

A sweep is a run whose children are its trials. Everything about it stands in tags, so that any client sees it, and another process
can go on where one stopped.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

SPEC_TAG = "tilth.sweep"
STATE_TAG = "tilth.sweep.state"
RUNNER_TAG = "tilth.sweep.runner"
STOP_TAG = "tilth.sweep.stop"
BEST_TAG = "tilth.sweep.best"
TRIAL_TAG = "tilth.sweep.trial"
PARAMS_TAG = "tilth.sweep.params"
STOPPED_TAG = "tilth.sweep.stopped"
REPLACED_TAG = "tilth.sweep.replaced"
PARAMS_VARIABLE = "TILTH_PARAMS"
"""Of a trial that is a program: its params as JSON."""

MAX_TRIALS = 10_000
MAX_PARALLEL = 64

Goal = Literal["maximize", "minimize"]
SamplerName = Literal["grid", "random", "optuna"]
SweepState = Literal["running", "finished", "stopped", "failed"]


class EarlyStopping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a trial is not worth going on with.

    median: its best value so far is worse than the median of what others had reached by that step. halving: at steps min_steps,
    min_steps * factor, min_steps * factor^2, ... only the best 1/factor go on (Li et al., ASHA, 2018). min_trials: that many must have
    come as far before anybody is judged.
    """

    rule: Literal["median", "halving"] = "median"
    min_steps: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1
    min_trials: Annotated[int, Meta(ge=1, le=MAX_TRIALS)] = 4
    factor: Annotated[int, Meta(ge=2, le=100)] = 3


class SweepSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """space: see `tilth.sdk.sweeps.space`. max_minutes: no trial begins after that. max_failures: that many in a row end the sweep.

    command: of trials that are programs; empty where a function is called.
    """

    metric: str
    space: dict[str, Any]
    goal: Goal = "maximize"
    sampler: SamplerName = "random"
    trials: Annotated[int, Meta(ge=1, le=MAX_TRIALS)] = 20
    parallel: Annotated[int, Meta(ge=1, le=MAX_PARALLEL)] = 1
    seed: int = 0
    early_stopping: EarlyStopping | None = None
    max_minutes: Annotated[float, Meta(gt=0)] | None = None
    max_failures: Annotated[int, Meta(ge=1, le=MAX_TRIALS)] = 5
    command: list[str] = []


class TrialView(msgspec.Struct):
    """number: counts from 1; params: as they were chosen. value: last one of the sweep's metric. stopped: early, by the sweep's rule."""

    number: int
    id: str
    status: str
    value: float | None
    params: dict[str, Any]
    stopped: bool
    started: int
    ended: int | None
    error: str = ""


class TrialPage(msgspec.Struct):
    trials: list[TrialView]
    total: int


class SweepView(msgspec.Struct):
    """state: `cut off` where it says running, but nobody runs it any more. best: value of the best trial so far.

    running, finished, failed: trials in that state; stopped ones are finished.
    """

    id: str
    name: str
    experiment: str
    state: str
    spec: SweepSpec
    started: int
    ended: int | None
    by: str
    best: float | None = None
    best_run_id: str = ""
    running: int = 0
    finished: int = 0
    failed: int = 0
    stop_wanted: bool = False

    @property
    def done(self) -> int:
        return self.finished + self.failed


class SweepPage(msgspec.Struct):
    sweeps: list[SweepView]
    total: int


def whole_of(text: str) -> int:
    """The whole number that a tag says; 0 for anything else: tags are anybody's to write."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def is_better(goal: Goal, value: float, than: float) -> bool:
    return value > than if goal == "maximize" else value < than
