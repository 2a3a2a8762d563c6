"""How a rollout goes on: a verdict from its plan and what was seen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilth.core.clock import SECOND, Millis
from tilth.domains.serving.types import WHOLE, InvalidPlan, Plan
from tilth.wire.rollout_text import span_text
from tilth.wire.rollouts import Evidence, Finding, StepPlan

MOST_WORDS = 400
REFUSAL_PATIENCE = Millis(10 * SECOND)
"""A refusal may come from files that could not be fetched just then; model servers try again, and what served before serves on."""


@dataclass(frozen=True, slots=True)
class Advance:
    """The next step may begin."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """code: the same as long as it is the same thing that is waited for, while the numbers in the reason change."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class RollBack:
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The last step held: the candidate becomes what the deployment serves."""

    reason: str


Verdict = Advance | Hold | RollBack | Finish


def judge(plan: Plan, step: int, evidence: Evidence, now: Millis, *, paused: bool = False) -> Verdict:
    """step: the present one, counted from 0. A broken guardrail rolls back at any time; going on needs that nothing is left to wait for."""
    if evidence.failing_since is not None:
        refused = _cut(f"a model server refused version {evidence.candidate.version}: {evidence.error}")
        return RollBack(refused) if now - evidence.failing_since >= REFUSAL_PATIENCE else Hold("refused", refused)
    broken = [finding.words for finding in evidence.findings if finding.state == "broken"]
    if broken:
        return RollBack(_cut("; ".join(broken)))
    hold = _paused(paused) or _not_live(evidence) or _too_little(plan, evidence) or _baking(plan.steps[step], evidence, now)
    if hold is not None:
        return hold
    every = f"every guardrail held over {evidence.candidate.requests:,} requests"
    if step == len(plan.steps) - 1:
        return Finish(f"{every} at {evidence.percent:g} %, the last step")
    return Advance(f"{every} at {evidence.percent:g} %; on to {plan.steps[step + 1].percent:g} %")


def check_plan(plan: Plan) -> Plan:
    """Raises InvalidPlan."""
    percents = [step.percent for step in plan.steps]
    if not percents or percents[-1] != 100:
        raise InvalidPlan("the last step of a rollout has 100 % of the requests; add it, such as 5,20,50,100")
    if percents != sorted(set(percents)):
        raise InvalidPlan(f"the steps must grow: {', '.join(f'{percent:g}' for percent in percents)} do not")
    if any(abs(percent * 100 - round(percent * 100)) > 1e-6 or round(percent * 100) < 1 for percent in percents):
        raise InvalidPlan("a step's percent has at most two decimals")
    metrics = [rail.metric for rail in plan.guardrails.labels]
    if len(set(metrics)) < len(metrics):
        raise InvalidPlan("a label metric stands twice among the guardrails")
    return plan


def weight_of(step: StepPlan) -> int:
    """Parts of 10,000 for the candidate."""
    return round(step.percent * WHOLE / 100)


def _paused(paused: bool) -> Hold | None:
    return Hold("paused", "paused; a broken guardrail would still roll it back") if paused else None


def _not_live(evidence: Evidence) -> Hold | None:
    if evidence.live_since is None or evidence.serving != "live":
        waits = {"unserved": "no model server reports", "loading": "the model servers are loading the candidate"}
        return Hold("live", waits.get(evidence.serving, "not every model server has taken up this step yet"))
    return None


def _too_little(plan: Plan, evidence: Evidence) -> Hold | None:
    if evidence.candidate.requests < plan.min_requests:
        return Hold("requests", f"{evidence.candidate.requests:,} of the {plan.min_requests:,} requests that a step needs")
    unsure = [finding for finding in evidence.findings if finding.state in ("unclear", "waiting")]
    if unsure:
        return Hold(f"unsure:{_names(unsure)}", _cut("; ".join(finding.words for finding in unsure)))
    return None


def _names(findings: Sequence[Finding]) -> str:
    return ",".join(sorted(finding.guardrail for finding in findings))


def _baking(step: StepPlan, evidence: Evidence, now: Millis) -> Hold | None:
    assert evidence.live_since is not None
    left_s = step.bake_s - (now - evidence.live_since) / 1000
    return Hold("bake", f"bakes {span_text(step.bake_s)} at {step.percent:g} %, {left_s:.0f} s left") if left_s > 0 else None


def _cut(words: str) -> str:
    return words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1] + "…"
