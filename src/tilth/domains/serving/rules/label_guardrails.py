"""What labels say about a rollout: the candidate's metrics against the champion's, over what both answered since it began. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilth.domains.serving.rules.outcomes import HIGHER_IS_BETTER, LabelTally, kind_of, outcomes
from tilth.domains.serving.rules.proportions import Z_99
from tilth.wire.rollouts import Finding, FindingState, LabelGuardrail


def label_findings(rails: Sequence[LabelGuardrail], candidate: LabelTally, champion: LabelTally) -> tuple[Finding, ...]:
    """One for each guardrail. Labels come late: until there are enough of them only a `required` one is waited for."""
    return tuple(_finding(rail, candidate, champion) for rail in rails)


def _finding(rail: LabelGuardrail, candidate: LabelTally, champion: LabelTally) -> Finding:
    name, fewest = f"label_{rail.metric}", min(candidate.rows, champion.rows)
    missing: FindingState = "waiting" if rail.required else "idle"
    if fewest < rail.min_labels:
        words = f"{candidate.rows:,} and {champion.rows:,} labels; {rail.min_labels:,} of each side are needed for {rail.metric}"
        return Finding(name, missing, "metric", words)
    # One kind for both sides: a candidate that only ever answers 0 or 1 is still measured as the champion is.
    kind = kind_of(champion)
    ours, theirs = outcomes(candidate, kind).get(rail.metric), outcomes(champion, kind).get(rail.metric)
    if ours is None or theirs is None:
        return Finding(name, missing, "metric", f"{rail.metric} cannot be computed of these scores and labels")
    higher = HIGHER_IS_BETTER[rail.metric]
    worse = theirs.value - ours.value if higher else ours.value - theirs.value
    limit = theirs.value - rail.max_worse if higher else theirs.value + rail.max_worse
    sure = worse - Z_99 * math.hypot(ours.error, theirs.error) > rail.max_worse
    state: FindingState = "ok" if worse <= rail.max_worse else "broken" if sure else "unclear"
    words = f"{rail.metric} {ours.value:.3f} against {theirs.value:.3f} of the champion, limit {limit:.3f} ({candidate.rows:,} labels)"
    return Finding(name, state, "metric", words, ours.value, limit, theirs.value)
