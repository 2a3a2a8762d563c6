"""Rollouts as our own API writes and reads them. Moments in ms since the epoch, latencies in ms, rates and shares 0 to 1."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

RolloutState = Literal["running", "paused", "finished", "rolled_back", "cancelled"]
VerdictKind = Literal["start", "advance", "hold", "roll_back", "finish", "pause", "resume", "cancel"]
FindingState = Literal["ok", "waiting", "unclear", "broken", "idle"]
"""ok: within its limit · waiting: too little was seen yet · unclear: beyond the limit, but chance may explain it ·
broken: beyond the limit, and chance does not explain it · idle: does not apply to this step."""
Unit = Literal["share", "ms", "psi", "metric"]
LabelMetric = Literal["auc", "log_loss", "brier", "accuracy", "rmse", "mae"]

Rate = Annotated[float, Meta(ge=0, le=1)]
Latency = Annotated[float, Meta(gt=0, le=60_000)]


class StepPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """percent of the requests for the candidate, with at most two decimals; bake_s: how long the step lasts at least (to 30 days)."""

    percent: Annotated[float, Meta(gt=0, le=100)]
    bake_s: Annotated[float, Meta(ge=0, le=2_592_000)] = 600.0


DEFAULT_STEPS = tuple(StepPlan(percent) for percent in (1.0, 5.0, 20.0, 50.0, 100.0))


class LabelGuardrail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The candidate may be worse than the champion by at most `max_worse`, in the metric's own unit.

    min_labels: labelled predictions that each side needs before it is judged. required: the step waits for them.
    """

    metric: LabelMetric
    max_worse: Annotated[float, Meta(ge=0)] = 0.02
    min_labels: Annotated[int, Meta(ge=10, le=1_000_000)] = 200
    required: bool = False


class Guardrails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the candidate must keep; None switches a guardrail off. `rise`: above the champion in the same window.

    p99_ratio_from_ms: the ratio to the champion's p99 counts only above this latency. max_score_psi: population stability index of the
    scores against the champion's.
    """

    max_error_rate: Rate | None = 0.05
    max_error_rate_rise: Rate | None = 0.01
    max_refused_rate_rise: Rate | None = 0.05
    max_p99_ms: Latency | None = 250.0
    max_p99_ratio: Annotated[float, Meta(ge=1, le=1000)] | None = 3.0
    p99_ratio_from_ms: Latency = 20.0
    max_score_psi: Annotated[float, Meta(gt=0, le=10)] | None = 0.25
    labels: Annotated[tuple[LabelGuardrail, ...], Meta(max_length=6)] = ()


class StartRollout(msgspec.Struct, forbid_unknown_fields=True):
    """The candidate: a version, or the one that an alias names now; neither means the newest. model: that of the deployment.

    min_requests: answered by the candidate within a step before it ends. promote_alias: at the end the alias that the deployment follows
    is set to the candidate, if its gates allow.
    """

    model: str | None = None
    version: int | None = None
    alias: str | None = None
    steps: Annotated[tuple[StepPlan, ...], Meta(min_length=1, max_length=20)] = DEFAULT_STEPS
    min_requests: Annotated[int, Meta(ge=1, le=10_000_000)] = 200
    guardrails: Guardrails = Guardrails()
    promote_alias: bool = False
    note: str = ""


class Promote(msgspec.Struct, forbid_unknown_fields=True):
    """to_end: the candidate becomes what the deployment serves now, without the steps that are left."""

    to_end: bool = False
    note: str = ""


class RolloutNote(msgspec.Struct, forbid_unknown_fields=True):
    """Why somebody pauses, resumes or rolls back."""

    note: str = ""


class Side(msgspec.Struct, frozen=True):
    """What one version did within the step. refused: requests that their caller is to blame for."""

    version: int
    requests: int = 0
    rows: int = 0
    errors: int = 0
    refused: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


class Finding(msgspec.Struct, frozen=True):
    """One guardrail in one window. champion: the other side's value, where there is one."""

    guardrail: str
    state: FindingState
    unit: Unit
    words: str
    value: float | None = None
    limit: float | None = None
    champion: float | None = None


class ScoreBin(msgspec.Struct, frozen=True):
    """Shares of the scores above `low` up to `high`; None: no bound. missing: of the answers that are no finite number."""

    low: float | None
    high: float | None
    candidate: float
    champion: float
    missing: bool = False


class Evidence(msgspec.Struct, frozen=True):
    """What was known when a verdict was given: the window from the step's start, over all model servers.

    serving: state of the step's generation (`live`, `failed`, ...). error: of the first model server that has one. failing_since: since
    when a model server refuses the generation, None when none does.
    """

    percent: float
    since: int
    until: int
    live_since: int | None
    serving: str
    error: str
    candidate: Side
    champion: Side
    findings: tuple[Finding, ...] = ()
    bins: tuple[ScoreBin, ...] = ()
    failing_since: int | None = None


class VerdictView(msgspec.Struct, frozen=True):
    """step: counted from 0. evidence None: nothing was measured for it (start, pause, resume)."""

    number: int
    step: int
    at: int
    kind: VerdictKind
    reason: str
    by: str
    evidence: Evidence | None


class StepView(msgspec.Struct, frozen=True):
    """state: passed, current, waiting, or stopped where the rollout ended. Moments are None until they come."""

    percent: float
    bake_s: float
    state: Literal["passed", "current", "waiting", "stopped"]
    generation: int | None
    started: int | None
    live_since: int | None
    ended: int | None


class RolloutView(msgspec.Struct, frozen=True):
    """reason: why it stands where it stands. evidence: the newest. step: counted from 0."""

    id: str
    deployment: str
    model: str
    candidate: int
    champion: int
    alias: str | None
    state: RolloutState
    reason: str
    step: int
    steps: list[StepView]
    min_requests: int
    guardrails: Guardrails
    promote_alias: bool
    note: str
    created: int
    by: str
    ended: int | None
    evidence: Evidence | None


class RolloutDetail(msgspec.Struct, frozen=True):
    """verdicts: newest first, at most 200."""

    rollout: RolloutView
    verdicts: list[VerdictView]


class RolloutPage(msgspec.Struct, frozen=True):
    rollouts: list[RolloutView]
    total: int
