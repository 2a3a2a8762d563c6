"""The life of a version: registered, evaluated, judged by gates, approved, aliased. Which step follows which. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tilth.domains.models.types import WrongApprovalState
from tilth.wire.evaluations import ApprovalState, LifeStep, Policy, StepState, Verdict

ApprovalStep = Literal["request", "approve", "reject"]

NEXT: dict[tuple[ApprovalState | None, ApprovalStep], ApprovalState] = {
    (None, "request"): "requested",
    ("rejected", "request"): "requested",
    ("requested", "approve"): "approved",
    ("requested", "reject"): "rejected",
    ("approved", "reject"): "rejected",
}
"""An approval that was given can be taken back; a rejected version can be asked for again."""


def next_state(thing: str, state: ApprovalState | None, step: ApprovalStep) -> ApprovalState:
    """Raises WrongApprovalState, which says what can be done. thing: such as `flight-delay/3`."""
    found = NEXT.get((state, step))
    if found is not None:
        return found
    now = f"is {state} already" if state is not None else "has no request for approval"
    possible = [word for (before, word) in NEXT if before == state]
    raise WrongApprovalState(
        f"{thing} {now}: to {step} it makes no sense; it can be: {', '.join(_DONE[word] for word in possible)}"
    )


_DONE: dict[ApprovalStep, str] = {"request": "requested for approval", "approve": "approved", "reject": "rejected"}


def steps_of(
    *,
    sealed: bool,
    evaluations: int,
    verdicts: Sequence[Verdict],
    approval: ApprovalState | None,
    policy: Policy,
    aliases: Sequence[str],
) -> list[LifeStep]:
    """The row of states of one version, in their order. Gates and approval are shown where the model asks for them, or has them."""
    steps = [LifeStep("registered", "Registered", "done", "files sealed" if sealed else "files elsewhere")]
    counted = f"{evaluations:,} evaluation{'s' if evaluations != 1 else ''}"
    steps.append(LifeStep("evaluated", "Evaluated", "done" if evaluations else "now", counted if evaluations else "not yet"))
    if verdicts:
        steps.append(_gates(verdicts))
    if policy.approval_for or approval is not None:
        steps.append(_approval(approval, policy))
    note = ", ".join(f"@{alias}" for alias in aliases)
    before_done = all(step.state == "done" for step in steps)
    steps.append(LifeStep("aliased", "In use", "done" if aliases else ("now" if before_done else "todo"), note or "no alias yet"))
    return steps


def _gates(verdicts: Sequence[Verdict]) -> LifeStep:
    passed = sum(each.outcome == "passed" for each in verdicts)
    failed = any(each.outcome == "failed" for each in verdicts)
    state: StepState = "done" if passed == len(verdicts) else "bad" if failed else "todo"
    return LifeStep("gates", "Gates", state, f"{passed} of {len(verdicts)} passed")


def _approval(approval: ApprovalState | None, policy: Policy) -> LifeStep:
    needed = ", ".join(f"@{alias}" for alias in policy.approval_for)
    states: dict[ApprovalState | None, StepState] = {None: "todo", "requested": "now", "approved": "done", "rejected": "bad"}
    notes = {None: f"asked for {needed}", "requested": "waits for a maintainer", "approved": "approved", "rejected": "rejected"}
    return LifeStep("approved", "Approval", states[approval], notes[approval])
