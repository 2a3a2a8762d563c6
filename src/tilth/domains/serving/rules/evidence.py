"""What is known of a rollout's present step, put together for a verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.core.clock import Millis
from tilth.domains.serving.rules.guardrails import findings
from tilth.domains.serving.rules.liveness import status_of
from tilth.domains.serving.rules.stability import score_bins
from tilth.domains.serving.rules.traffic import seen, side
from tilth.domains.serving.types import WHOLE, Rollout, RolloutStep, Traffic
from tilth.wire.plane import WorkerStatus
from tilth.wire.rollouts import Evidence, Finding


def evidence_of(
    rollout: Rollout,
    step: RolloutStep,
    model: str,
    traffic: Traffic,
    workers: Sequence[WorkerStatus],
    outcomes: Sequence[Finding],
    now: Millis,
) -> Evidence:
    """model: name. traffic: of this step, up to now. workers: those whose lease is young. outcomes: findings on labels."""
    candidate, champion = seen(traffic, f"{model}/{rollout.candidate}"), seen(traffic, f"{model}/{rollout.champion}")
    bins = score_bins(candidate, champion)
    status = status_of(rollout.deployment_id, step.generation, workers)
    measured = findings(rollout.plan.guardrails, candidate, champion, bins, alone=step.weight == WHOLE)
    return Evidence(
        percent=step.weight * 100 / WHOLE,
        since=step.started,
        until=now,
        live_since=step.live_since if step.live_since is not None else now if status.live else None,
        serving=status.state,
        error=status.error,
        candidate=side(rollout.candidate, candidate),
        champion=side(rollout.champion, champion),
        findings=(*measured, *outcomes),
        bins=bins,
        failing_since=_failing_since(step.evidence, now) if status.state == "failed" else None,
    )


def _failing_since(before: Evidence | None, now: Millis) -> int:
    return before.failing_since if before is not None and before.failing_since is not None else now
