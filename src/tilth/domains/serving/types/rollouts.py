"""Values, events and errors of rollouts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Invalid, NotFound
from tilth.core.events import Event
from tilth.domains.serving.types.deployments import Route
from tilth.wire.plane import VersionTally
from tilth.wire.rollouts import Evidence, Guardrails, RolloutState, StepPlan


class Plan(msgspec.Struct, frozen=True):
    """How a rollout goes: at least one step, the last one with all requests."""

    steps: tuple[StepPlan, ...]
    min_requests: int
    guardrails: Guardrails


@dataclass(frozen=True, slots=True)
class Rollout:
    """candidate, champion: versions of the model. routes: what is served again if the candidate fails.

    alias: the one that the deployment followed at the start. step: the present one, counted from 0. code: short form of `reason`, the same
    for the same standing.
    """

    id: str
    project_id: str
    deployment_id: str
    model_id: str
    candidate: int
    champion: int
    routes: tuple[Route, ...]
    alias: str | None
    plan: Plan
    promote_alias: bool
    state: RolloutState
    step: int
    code: str
    reason: str
    judged: Millis
    note: str
    created: Millis
    by_id: str
    by: str
    by_kind: str
    ended: Millis | None


class Reading(msgspec.Struct, frozen=True):
    """What one worker process had counted at the step's start and what it has counted by now, by key of the version.

    started: of the process, which tells it from the one that had the worker's name before.
    """

    worker: str
    started: int
    base: dict[str, VersionTally]
    last: dict[str, VersionTally]


class Traffic(msgspec.Struct, frozen=True):
    """Everything that was counted within a step. gone: by processes that ended."""

    readings: tuple[Reading, ...] = ()
    gone: dict[str, VersionTally] = {}


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """live_since: when every worker had acknowledged the step's generation for the first time."""

    number: int
    weight: int
    generation: int
    started: Millis
    live_since: Millis | None
    ended: Millis | None
    traffic: Traffic
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class RolloutStarted(Event):
    """A rollout took its first step."""

    name: ClassVar[str] = "rollout.started"
    project_id: str
    deployment: str
    rollout_id: str
    model: str
    version: int
    champion: int
    by: str


@dataclass(frozen=True, slots=True)
class RolloutEnded(Event):
    """outcome: finished, rolled_back or cancelled."""

    name: ClassVar[str] = "rollout.ended"
    project_id: str
    deployment: str
    rollout_id: str
    model: str
    version: int
    champion: int
    outcome: str
    reason: str
    by: str


class UnknownRollout(NotFound):
    def __init__(self, deployment: str, rollout: str) -> None:
        which = "no rollout" if rollout == "latest" else f"no rollout {rollout[:40]!r}"
        super().__init__(
            f"deployment {deployment!r} has {which}; `tilth rollout start <model>/<version> --name {deployment}` starts one"
        )


class RolloutUnderWay(Conflict):
    """Somebody would change a deployment while a rollout moves its shares."""

    def __init__(self, deployment: str, candidate: int, percent: float) -> None:
        super().__init__(
            f"a rollout of version {candidate} is under way on deployment {deployment!r}, at {percent:g} %: end it first with "
            f"`tilth rollout rollback {deployment}` or `tilth rollout promote {deployment} --to-end`, "
            "or add --cancel-rollout (cancel_rollout over HTTP)"
        )


class RolloutOver(Conflict):
    def __init__(self, deployment: str, state: str) -> None:
        how = state.replace("_", " ")
        super().__init__(f"the last rollout of deployment {deployment!r} is over ({how}); nothing is left to do with it")


class NotPaused(Conflict):
    def __init__(self, deployment: str, state: str) -> None:
        super().__init__(f"the rollout of deployment {deployment!r} is {state} already")


class NoChampion(Conflict):
    """There is no single version that the candidate could be compared with."""

    def __init__(self, deployment: str, versions: int) -> None:
        super().__init__(
            f"deployment {deployment!r} is split over {versions} versions; a rollout starts from one: "
            f"give it all requests first, by `tilth deployment split {deployment} <version>=100`"
        )


class SameVersion(Conflict):
    def __init__(self, deployment: str, version: int) -> None:
        super().__init__(f"deployment {deployment!r} serves version {version} already; roll out another one")


class OtherModel(Invalid):
    def __init__(self, deployment: str, model: str, asked: str) -> None:
        super().__init__(
            f"deployment {deployment!r} serves model {model!r}; a rollout brings another version of it, not {asked[:80]!r}"
        )


class InvalidPlan(Invalid):
    """Steps or limits that make no rollout."""
