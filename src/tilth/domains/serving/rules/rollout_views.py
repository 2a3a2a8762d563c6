"""A rollout as the API and the pages show it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tilth.domains.serving.types import Rollout, RolloutStep
from tilth.wire.rollouts import RolloutView, StepPlan, StepView


def rollout_view(rollout: Rollout, deployment: str, model: str, steps: Sequence[RolloutStep]) -> RolloutView:
    """deployment, model: names. steps: those that were begun, in their order."""
    begun = {step.number: step for step in steps}
    newest = steps[-1] if steps else None
    return RolloutView(
        id=rollout.id,
        deployment=deployment,
        model=model,
        candidate=rollout.candidate,
        champion=rollout.champion,
        alias=rollout.alias,
        state=rollout.state,
        reason=rollout.reason,
        step=rollout.step,
        steps=[_step_view(rollout, number, planned, begun.get(number)) for number, planned in enumerate(rollout.plan.steps)],
        min_requests=rollout.plan.min_requests,
        guardrails=rollout.plan.guardrails,
        promote_alias=rollout.promote_alias,
        note=rollout.note,
        created=rollout.created,
        by=rollout.by,
        ended=rollout.ended,
        evidence=newest.evidence if newest is not None else None,
    )


def _step_view(rollout: Rollout, number: int, planned: StepPlan, begun: RolloutStep | None) -> StepView:
    state: Literal["passed", "current", "waiting", "stopped"] = "waiting"
    if number < rollout.step or (rollout.state == "finished" and begun is not None):
        state = "passed"
    elif begun is not None:
        state = "current" if rollout.ended is None else "stopped"
    return StepView(
        percent=planned.percent,
        bake_s=planned.bake_s,
        state=state,
        generation=begun.generation if begun else None,
        started=begun.started if begun else None,
        live_since=begun.live_since if begun else None,
        ended=begun.ended if begun else None,
    )
