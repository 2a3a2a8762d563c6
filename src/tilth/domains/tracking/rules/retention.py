"""What a retention rule may say, and the plan that it comes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from tilth.core.clock import DAY, Millis
from tilth.core.errors import Invalid
from tilth.domains.tracking.rules.filters import parse_filter
from tilth.wire.care import RetentionCreate, RetentionDo, RetentionStep

MAX_DAYS = 36_500
STEP_RUNS = 100
"""Runs of one step: what one short transaction can change."""


class InvalidRetention(Invalid):
    """A retention rule that says too little, or too much."""


def check_rule(rule: RetentionCreate) -> None:
    """Raises InvalidRetention, InvalidRunFilter."""
    if not 0 <= rule.after_days <= MAX_DAYS:
        raise InvalidRetention(f"after_days is {rule.after_days}; give 0 to {MAX_DAYS} days after the end of a run")
    parse_filter(rule.filter)


def takes_away(action: RetentionDo) -> bool:
    """Whether something is lost by it, at once or after the days of the trash."""
    return action != "archive"


def ended_before(after_days: int, at: Millis) -> Millis:
    """Runs that ended before this moment are old enough."""
    return Millis(at - after_days * DAY)


def plan_steps(
    rule_id: str,
    action: RetentionDo,
    run_ids: Sequence[str],
    artifacts: Mapping[str, tuple[int, int]],
    points: Mapping[str, int],
) -> list[RetentionStep]:
    """artifacts: files and bytes of the runs that have any; points: metric points of the runs that have any."""
    match action:
        case "archive" | "delete":
            chosen = list(run_ids)
        case "drop_artifacts":
            chosen = [id_ for id_ in run_ids if id_ in artifacts]
        case "drop_points":
            chosen = [id_ for id_ in run_ids if id_ in points]
        case _:
            assert_never(action)
    steps: list[RetentionStep] = []
    for start in range(0, len(chosen), STEP_RUNS):
        ids = chosen[start : start + STEP_RUNS]
        if action == "drop_artifacts":
            files, size = (sum(artifacts[id_][part] for id_ in ids) for part in (0, 1))
            steps.append(RetentionStep(rule_id, action, ids, files, size))
        elif action == "drop_points":
            steps.append(RetentionStep(rule_id, action, ids, sum(points[id_] for id_ in ids)))
        else:
            steps.append(RetentionStep(rule_id, action, ids, len(ids)))
    return steps
