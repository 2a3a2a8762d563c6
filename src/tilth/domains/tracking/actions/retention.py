"""Retention rules, and the steps that they come to. A step is safe to repeat: it looks again at what it is about to change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tilth.backends.sql import Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.errors import Conflict, NotFound
from tilth.core.ids import Digest, ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.tracking.actions.care import change_many
from tilth.domains.tracking.queries import care, purging
from tilth.domains.tracking.rules import retention
from tilth.domains.tracking.rules.filters import parse_filter
from tilth.wire.care import BulkRuns, RetentionCreate, RetentionRule, RetentionStep

PLANNED_RUNS = 1000
"""Runs that a rule looks at per round; the next round goes on with the rest."""
SLICE_ROWS = 2000
SLICE_ARTIFACTS = 200

Spares = Callable[[Tx, ProjectId, Sequence[str]], set[str]]
"""Which of at most PLANNED_RUNS runs somebody above this domain still needs: rules take nothing from them."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a rule comes to for some runs. spared: ids of those that it names and that are needed. after: where to go on, "" is nowhere."""

    steps: list[RetentionStep]
    spared: set[str]
    after: str


class UnknownRetentionRule(NotFound):
    def __init__(self, rule_id: str) -> None:
        super().__init__(f"no retention rule {rule_id[:40]!r} in this project; `tilth retention list` shows those there are")


class TooManyRetentionRules(Conflict):
    def __init__(self) -> None:
        super().__init__(f"the project has {care.MAX_RULES} retention rules already; remove one with `tilth retention remove`")


def add_rule(tx: Tx, actor: Actor, project_id: ProjectId, wanted: RetentionCreate) -> str:
    """Returns the id. Raises InvalidRetention, InvalidRunFilter, TooManyRetentionRules."""
    retention.check_rule(wanted)
    if len(care.rules_of(tx, project_id)) >= care.MAX_RULES:
        raise TooManyRetentionRules
    id_ = new_id()
    row = {
        "id": id_,
        "action": wanted.action,
        "filter": wanted.filter,
        "after_days": wanted.after_days,
        "created": now(),
        "creator_id": actor.id,
        "creator_name": actor.name,
    }
    care.insert_rule(tx, project_id, row)
    detail = {"action": wanted.action, "filter": wanted.filter, "after_days": wanted.after_days}
    record(tx, actor, "retention_rule.added", project_id=project_id, thing=id_, detail=detail)
    return id_


def remove_rule(tx: Tx, actor: Actor, project_id: ProjectId, rule_id: str) -> None:
    """Raises UnknownRetentionRule."""
    if not care.delete_rule(tx, project_id, rule_id):
        raise UnknownRetentionRule(rule_id)
    record(tx, actor, "retention_rule.removed", project_id=project_id, thing=rule_id)


def rules(tx: Tx, project_id: ProjectId) -> list[RetentionRule]:
    return [
        RetentionRule(row.id, row.action, row.filter, row.after_days, row.created, row.creator_name)
        for row in care.rules_of(tx, project_id)
    ]


def plan(tx: Tx, project_id: ProjectId, rule: RetentionRule, at: Millis, spares: Spares, after: str = "") -> Planned:
    """For the next PLANNED_RUNS runs that the rule names, in order of ids, after `after`."""
    found = care.run_ids(
        tx,
        project_id,
        terms=parse_filter(rule.filter),
        archived=False if rule.action == "archive" else None,
        ended_before=retention.ended_before(rule.after_days, at),
        after=after,
        limit=PLANNED_RUNS,
    )
    spared = spares(tx, project_id, found) if retention.takes_away(rule.action) else set()
    ids = [id_ for id_ in found if id_ not in spared]
    artifacts = care.artifact_sizes(tx, project_id, ids) if rule.action == "drop_artifacts" else {}
    points: dict[str, int] = {}
    if rule.action == "drop_points":
        points = care.logged_counts(tx, project_id, care.runs_with_points(tx, project_id, ids))
    steps = retention.plan_steps(rule.id, rule.action, ids, artifacts, points)
    return Planned(steps, spared, found[-1] if len(found) == PLANNED_RUNS else "")


def apply(tx: Tx, actor: Actor, project_id: ProjectId, step: RetentionStep, spares: Spares) -> bool:
    """Does a slice of the step. Returns whether there is more of it to do."""
    known = {row.id for row in care.run_states(tx, project_id, step.runs) if row.deleted_at is None}
    if retention.takes_away(step.action):
        known -= spares(tx, project_id, step.runs)
    ids = [id_ for id_ in step.runs if id_ in known]
    if not ids:
        return False
    if step.action in ("archive", "delete"):
        change_many(tx, actor, project_id, ids, BulkRuns(do="archive" if step.action == "archive" else "delete"))
        return False
    if step.action == "drop_points":
        return _drop_points(tx, actor, project_id, step, ids)
    return _drop_artifacts(tx, actor, project_id, step, ids)


def _drop_points(tx: Tx, actor: Actor, project_id: ProjectId, step: RetentionStep, ids: list[str]) -> bool:
    left = SLICE_ROWS
    for run_id in ids:
        left -= purging.remove_points(tx, run_id, left)
        if left <= 0:
            return True
    detail = {"rule": step.rule, "points": step.count, "runs": ids}
    record(tx, actor, "metric_points.dropped", project_id=project_id, thing=f"{len(ids)} runs", detail=detail)
    return False


def _drop_artifacts(tx: Tx, actor: Actor, project_id: ProjectId, step: RetentionStep, ids: list[str]) -> bool:
    left = SLICE_ARTIFACTS
    for run_id in ids:
        left -= release_artifacts(tx, project_id, run_id, left)
        if left <= 0:
            return True
    detail = {"rule": step.rule, "artifacts": step.count, "bytes": step.bytes, "runs": ids}
    record(tx, actor, "artifacts.dropped", project_id=project_id, thing=f"{len(ids)} runs", detail=detail)
    return False


def release_artifacts(tx: Tx, project_id: ProjectId, run_id: str, at_most: int) -> int:
    """Lets go of the bytes of some artifacts of a run; they are collected after the grace period. Returns how many went."""
    found = purging.artifacts_of_run(tx, project_id, run_id, at_most)
    purging.remove_artifacts(tx, project_id, run_id, [row.path for row in found])
    for row in found:
        blob_use.release(tx, project_id, Digest(row.digest))
    return len(found)
