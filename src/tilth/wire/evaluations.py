"""Evaluations, gates, approvals and differences of model versions, as our own API writes and reads them. Moments in ms since the epoch."""

from __future__ import annotations

from typing import Literal

import msgspec

from tilth.wire.registry import VersionView

Task = Literal["classification", "regression"]
Outcome = Literal["passed", "failed", "unknown"]
ApprovalState = Literal["requested", "approved", "rejected"]
StepState = Literal["done", "now", "todo", "bad"]


class MetricValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A metric over some rows. low, high: bounds of its 95 % interval, None where none was computed."""

    value: float
    low: float | None = None
    high: float | None = None


class SliceResult(msgspec.Struct, frozen=True):
    """The metrics over those rows whose `column` holds `value`."""

    column: str
    value: str
    rows: int
    metrics: dict[str, MetricValue]


class PairedDifference(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much another evaluation over the same rows differs: this one minus that one, row by row. low, high: 95 % interval."""

    evaluation_id: str
    metric: str
    difference: float
    low: float | None = None
    high: float | None = None


class RecordEvaluation(msgspec.Struct, forbid_unknown_fields=True):
    """What was measured. rows_digest: equal for equal rows with equal targets in equal order, so that two evaluations may be compared.

    latency_*_ms: of predicting one row in process. left_out: slices that had too few rows. scores_digest: SHA-256 of the bytes that
    are then put to .../scores, a little-endian float64 matrix of the shape (rows, 1 + outputs): the target, then the prediction.
    """

    dataset: str
    dataset_digest: str
    rows_digest: str
    rows: int
    task: Task
    metrics: dict[str, MetricValue]
    name: str = "validation"
    slices: list[SliceResult] = []
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    differences: list[PairedDifference] = []
    left_out: list[str] = []
    run_id: str | None = None
    scores_digest: str | None = None


class EvaluationView(msgspec.Struct, frozen=True):
    """model and version: None where a logged model was evaluated that was no version then. scores_size in bytes, None without scores."""

    id: str
    name: str
    logged_model_id: str | None
    model: str | None
    version: int | None
    dataset: str
    dataset_digest: str
    rows_digest: str
    rows: int
    task: Task
    metrics: dict[str, MetricValue]
    slices: list[SliceResult]
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    differences: list[PairedDifference]
    left_out: list[str]
    run_id: str | None
    scores_digest: str | None
    scores_size: int | None
    created: int
    by: str


class EvaluationPage(msgspec.Struct, frozen=True):
    evaluations: list[EvaluationView]
    total: int


class Verdict(msgspec.Struct, frozen=True):
    """What a gate says of a version, with its evidence. unknown: nothing to judge by, which keeps a version out as well.

    value, low, high: what was measured; limit: what it was held against, for `beats` the other version's value and the margin.
    against_version: the version that had to be beaten.
    """

    gate: int
    expression: str
    outcome: Outcome
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    evaluation_id: str | None = None
    against_version: int | None = None


class RecordedEvaluation(msgspec.Struct, frozen=True):
    """The evaluation and what the gates of the model say now; no verdicts for a logged model that is no version."""

    evaluation: EvaluationView
    verdicts: list[Verdict]


class AddGate(msgspec.Struct, forbid_unknown_fields=True):
    """evaluation: the name of the evaluation that counts, empty for the newest of any name. aliases: those it guards, none for all."""

    expression: str
    evaluation: str = ""
    aliases: list[str] = []


class GateView(msgspec.Struct, frozen=True):
    number: int
    expression: str
    evaluation: str
    aliases: list[str]
    created: int
    by: str


class GateList(msgspec.Struct, frozen=True):
    gates: list[GateView]


class Policy(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a model, or a project for all its models, asks before an alias may name a version.

    free_aliases: aliases that gates leave alone unless they name them. approval_for: aliases that only an approved version gets.
    separate_duties: who registered a version or asked for its approval may not decide it.
    """

    free_aliases: list[str] = []
    approval_for: list[str] = []
    separate_duties: bool = True


class PolicyView(msgspec.Struct, frozen=True):
    """of: whose policy it is: the model's own, the project's, or Tilth's default."""

    policy: Policy
    of: Literal["model", "project", "default"]


class CheckGates(msgspec.Struct, forbid_unknown_fields=True):
    """alias: judge by the gates that guard it; None: by all gates of the model."""

    alias: str | None = None


class GateCheck(msgspec.Struct, frozen=True):
    """Gates were asked about a version. alias: where it was to go, empty when nobody wanted to move one."""

    version: int
    alias: str
    cause: Literal["evaluated", "asked", "alias"]
    passed: bool
    override_reason: str
    verdicts: list[Verdict]
    at: int
    by: str


class OverrideAlias(msgspec.Struct, forbid_unknown_fields=True):
    """An owner sets the alias in spite of gates and approvals. reason: is kept and shown."""

    version: int
    reason: str


class AskApproval(msgspec.Struct, forbid_unknown_fields=True):
    comment: str = ""


class DecideApproval(msgspec.Struct, forbid_unknown_fields=True):
    comment: str = ""


class ApprovalView(msgspec.Struct, frozen=True):
    """decided and decided_by are empty while it is only requested."""

    state: ApprovalState
    requested: int
    requested_by: str
    comment: str
    decided: int | None = None
    decided_by: str = ""
    decision_comment: str = ""


class LifeStep(msgspec.Struct, frozen=True):
    """One state in the life of a version: registered, evaluated, gated, approved, aliased."""

    key: str
    title: str
    state: StepState
    note: str


class VersionLife(msgspec.Struct, frozen=True):
    """Where a version stands: its steps, what the gates say, the decisions about it (newest first) and the checks that were kept."""

    steps: list[LifeStep]
    evaluations: list[EvaluationView]
    verdicts: list[Verdict]
    approvals: list[ApprovalView]
    checks: list[GateCheck]
    policy: Policy


class Changed(msgspec.Struct, frozen=True):
    """One thing on both sides; None where a side has it not."""

    name: str
    a: str | None
    b: str | None
    same: bool


class MetricDifference(msgspec.Struct, frozen=True):
    """A metric of two evaluations. difference: b minus a; low, high: its 95 % interval, None where the rows differ or none was computed."""

    metric: str
    a: MetricValue | None
    b: MetricValue | None
    difference: float | None
    low: float | None
    high: float | None
    better: Literal["a", "b", ""]


class EvaluationDifference(msgspec.Struct, frozen=True):
    """The newest evaluations of one name on both sides. same_rows: only then a difference says something about the models."""

    name: str
    dataset_a: str
    dataset_b: str
    rows_a: int
    rows_b: int
    same_rows: bool
    metrics: list[MetricDifference]


class VersionDifference(msgspec.Struct, frozen=True):
    """Two versions of one model, part by part. metrics: those of the source runs."""

    a: VersionView
    b: VersionView
    evaluations: list[EvaluationDifference]
    metrics: list[Changed]
    params: list[Changed]
    data: list[Changed]
    inputs: list[Changed]
    outputs: list[Changed]
    card: list[Changed]
    environment: list[Changed]
    files: list[Changed]
    facts: list[Changed]
