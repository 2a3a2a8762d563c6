"""Values and errors of A/B tests. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Invalid, NotFound
from tilth.domains.serving.types.deployments import Route
from tilth.wire.ab import AbEvidence, AbGoal, AbMetric, AbState


@dataclass(frozen=True, slots=True)
class Sample:
    """One value for each unit of an arm. deviations: sum of their squared deviations from the mean; binary: each value is 0 or 1.

    Great values that differ little keep their digits in this form, which sums of squares lose.
    """

    units: int
    mean: float
    deviations: float
    binary: bool

    @property
    def variance(self) -> float:
        """Of the values, unbiased; NaN for fewer than two units."""
        return self.deviations / (self.units - 1) if self.units > 1 else math.nan

    def __add__(self, other: Sample) -> Sample:
        """Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm (1979)."""
        units = self.units + other.units
        if not units:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.units / units
        deviations = self.deviations + other.deviations + apart * apart * self.units * other.units / units
        return Sample(units, mean, deviations, self.binary and other.binary)


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference and its bounds."""

    value: float
    low: float
    high: float


class Arm(msgspec.Struct, frozen=True):
    """`weight` parts of 10,000 of the units."""

    version: int
    weight: int


class Design(msgspec.Struct, frozen=True):
    """What was decided before the first unit. The first arm is the control. effect: the smallest difference that matters, > 0."""

    arms: tuple[Arm, ...]
    metric: AbMetric
    goal: AbGoal
    effect: float
    alpha: float
    power: float
    baseline: float | None = None
    deviation: float | None = None

    @property
    def control(self) -> Arm:
        return self.arms[0]

    @property
    def alpha_each(self) -> float:
        """Of each comparison: the test as a whole is wrong with probability alpha (Bonferroni)."""
        return self.alpha / (len(self.arms) - 1)


class Before(msgspec.Struct, frozen=True):
    """What was served when the test started, and the alias that was followed."""

    routes: tuple[Route, ...]
    alias: str | None


@dataclass(frozen=True, slots=True)
class AbTest:
    """id: also the salt of the split, so that one test's arms say nothing about those of the next one."""

    id: str
    number: int
    project_id: str
    deployment_id: str
    model_id: str
    state: AbState
    hypothesis: str
    design: Design
    before: Before | None
    created: Millis
    started: Millis | None
    ended: Millis | None
    by: str
    winner: int | None
    note: str
    evidence: AbEvidence | None


@dataclass(frozen=True, slots=True)
class Part:
    """Units of one arm that were first met within one stretch of the test. number: of the stretch, from 0."""

    version: int
    number: int
    units: int
    rows: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Span:
    """The moments [since, until)."""

    since: int
    until: int


class UnknownAbTest(NotFound):
    def __init__(self, deployment: str, number: int) -> None:
        super().__init__(
            f"deployment {deployment!r} has no A/B test {number}; `tilth ab list {deployment}` shows those that there are"
        )


class InvalidAbTest(Invalid):
    """A design that cannot be carried out."""


class AbTestUnderWay(Conflict):
    def __init__(self, deployment: str, number: int) -> None:
        super().__init__(
            f"A/B test {number} of deployment {deployment!r} is running, and this would change its arms; "
            f"end it first: `tilth ab conclude {deployment} {number}`, or `tilth ab stop {deployment} {number}`"
        )


class WrongAbState(Conflict):
    def __init__(self, number: int, state: AbState, wanted: str) -> None:
        super().__init__(
            f"A/B test {number} is {'a draft' if state == 'draft' else state}; only one that is {wanted} can do that"
        )


class NoSuchArm(Invalid):
    def __init__(self, version: int, arms: str) -> None:
        super().__init__(f"version {version} is no arm of this test; its arms are {arms}")
