"""A/B tests of deployments as our own API takes and shows them. Moments in ms since the epoch, shares 0 to 1."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

AbState = Literal["draft", "running", "stopped", "concluded"]
"""draft: nothing happens yet · running: the arms share the requests · stopped: what was served before is served again ·
concluded: somebody decided, and the evidence of that moment is kept."""
AbMetric = Literal["label", "accuracy", "brier", "absolute_error", "squared_error"]
"""What each labelled row counts as: its label, or how far score and label are apart. A unit counts as the mean of its rows."""
AbGoal = Literal["higher", "lower"]
AbOutcome = Literal["mismatch", "waiting", "better", "worse", "equivalent", "exhausted", "open"]
"""mismatch: the split is not the one that was asked for, so nothing else counts · waiting: too few labelled units · better: an arm
beats the control · worse: the control beats every arm · equivalent: no difference that matters · exhausted: as many units as were
planned, and no difference found · open: no telling yet."""


class ArmWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=1 << 31)]
    percent: float


class CreateAb(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """arms: the first one is the control. effect: the smallest difference of the metric that matters, in its own units.

    baseline: the share that the control is expected to have, where the metric is 0 or 1 for each row; else deviation: the standard
    deviation of the metric over units. Without both, the number of units is planned from the control's own first 100.
    """

    arms: Annotated[tuple[ArmWanted, ...], Meta(min_length=2, max_length=10)]
    effect: float
    metric: AbMetric = "label"
    goal: AbGoal | None = None
    hypothesis: Annotated[str, Meta(max_length=2000)] = ""
    alpha: float = 0.05
    power: float = 0.8
    baseline: float | None = None
    deviation: float | None = None
    start: bool = False


class ConcludeAb(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """winner: the version that is served from now on; None: that of the control."""

    winner: int | None = None
    note: Annotated[str, Meta(max_length=2000)] = ""


class StopAb(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    note: Annotated[str, Meta(max_length=2000)] = ""


class AbArm(msgspec.Struct, frozen=True):
    """units: callers that this arm answered, rows: what it answered them; labelled: units with at least one label, which alone count in
    the mean and its 95 % interval."""

    version: int
    share: float
    control: bool
    units: int
    rows: int
    labelled: int
    mean: float | None
    low: float | None
    high: float | None


class AbComparison(msgspec.Struct, frozen=True):
    """An arm less the control. low, high: bounds that hold at every look at once, at the alpha of the test shared out over its arms;
    p: likewise. once_low, once_high: those of a single look, by which only a test of planned size may be read, once, at its end.
    """

    version: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    once_low: float | None
    once_high: float | None
    wins: bool
    loses: bool


class AbPoint(msgspec.Struct, frozen=True):
    """The comparison of one arm as it stood when units that were first met before `at` were in."""

    version: int
    at: int
    units: int
    difference: float
    low: float
    high: float


class AbVerdict(msgspec.Struct, frozen=True):
    outcome: AbOutcome
    words: str
    next_step: str
    winner: int | None = None


class AbEvidence(msgspec.Struct, frozen=True):
    """at: when it was read. planned: labelled units that each arm needs by plan, None where that cannot be told yet.

    crossed: units that met more than one arm, which count in none. mismatch_p: of the split.
    """

    at: int
    arms: list[AbArm]
    comparisons: list[AbComparison]
    path: list[AbPoint]
    planned: int | None
    crossed: int
    mismatch_p: float
    verdict: AbVerdict


class AbView(msgspec.Struct, frozen=True):
    """evidence: as it is now, of a concluded test as it was then; None for a draft. planned: as in AbEvidence. winner, note: what
    somebody decided, and why."""

    number: int
    deployment: str
    model: str
    state: AbState
    hypothesis: str
    metric: AbMetric
    goal: AbGoal
    effect: float
    alpha: float
    power: float
    created: int
    started: int | None
    ended: int | None
    by: str
    winner: int | None
    note: str
    planned: int | None
    evidence: AbEvidence | None
    arms: list[ArmWanted]


class AbRow(msgspec.Struct, frozen=True):
    """A test in a list, without its evidence."""

    number: int
    state: AbState
    hypothesis: str
    metric: AbMetric
    arms: list[ArmWanted]
    created: int
    started: int | None
    ended: int | None
    by: str
    winner: int | None


class AbPage(msgspec.Struct, frozen=True):
    tests: list[AbRow]
