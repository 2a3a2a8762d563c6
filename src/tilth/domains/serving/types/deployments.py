"""Values, events and errors of deployments. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Invalid, NotFound
from tilth.core.events import Event
from tilth.wire.serving import DeploymentSettings

PLANE_TOPIC = "plane"
"""Announced with every change that the model servers must hear of."""
WHOLE = 10_000
"""Weights of the routes of a deployment add up to this."""

Cause = Literal["deploy", "alias", "rollback", "split", "rollout", "ab", "settings"]


@dataclass(frozen=True, slots=True)
class Route:
    """`weight` parts of 10,000 of the requests go to this version, whose bytes the manifest digest seals."""

    model_id: str
    version: int
    logged_model_id: str
    manifest_digest: str
    weight: int = WHOLE


@dataclass(frozen=True, slots=True)
class Deployment:
    """alias: the one it follows, None when it is pinned. problem: why it does not follow its alias just now, else empty."""

    id: str
    project_id: str
    name: str
    model_id: str
    alias: str | None
    version: int
    generation: int
    routes: tuple[Route, ...]
    settings: DeploymentSettings
    salt: str
    created: Millis
    updated: Millis
    changed_by: str
    problem: str


@dataclass(frozen=True, slots=True)
class Generation:
    """What a deployment was at one time."""

    generation: int
    cause: Cause
    model_id: str
    alias: str | None
    from_version: int | None
    version: int
    routes: tuple[Route, ...]
    settings: DeploymentSettings
    note: str
    created: Millis
    by: str


@dataclass(frozen=True, slots=True)
class DeploymentChanged(Event):
    """A deployment has a new generation, or is gone (generation 0)."""

    name: ClassVar[str] = "deployment.changed"
    project_id: str
    deployment_id: str
    deployment: str
    generation: int


class UnknownDeployment(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"no deployment {name[:80]!r} in this project; `tilth deploy <model>@<alias> --name {name[:80]}` makes one"
        )


class UnknownGeneration(NotFound):
    def __init__(self, name: str, generation: int, newest: int) -> None:
        super().__init__(f"deployment {name!r} has no generation {generation}; it has 1 to {newest}")


class NothingToRollBack(Conflict):
    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"deployment {name!r} never served another version than {version} nor other shares, so there is nothing to roll back to"
        )


class NotServable(Conflict):
    """The version exists, but no model server could serve it."""

    def __init__(self, model: str, version: int, why: str) -> None:
        super().__init__(f"version {version} of model {model!r} cannot be deployed: {why}")


class InvalidSplit(Invalid):
    """Shares that do not share out all requests."""


class TwoTargets(Invalid):
    def __init__(self) -> None:
        super().__init__("name a version or an alias, not both: a version stays, an alias is followed")
