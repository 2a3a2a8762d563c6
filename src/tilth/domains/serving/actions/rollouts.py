"""Rollouts: started and steered by people, judged from what the model servers report."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import SYSTEM, Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import ProjectId, new_id
from tilth.domains.models import queries as model_queries
from tilth.domains.serving.actions import ab_tests
from tilth.domains.serving.actions.generations import checked_note, route_to
from tilth.domains.serving.actions.rollout_labels import labels_say
from tilth.domains.serving.actions.rollout_steps import Said, complete, enter, restore, tell
from tilth.domains.serving.queries import deployments, rollouts
from tilth.domains.serving.rules import rollouts as rules
from tilth.domains.serving.rules.evidence import evidence_of
from tilth.domains.serving.rules.traffic import follow
from tilth.domains.serving.types import (
    Deployment,
    NoChampion,
    NotPaused,
    OtherModel,
    Plan,
    Rollout,
    RolloutOver,
    RolloutStarted,
    RolloutUnderWay,
    SameVersion,
    Traffic,
    TwoTargets,
)
from tilth.wire.plane import WorkerStatus
from tilth.wire.rollouts import Evidence, StartRollout

LEAST_BETWEEN_VERDICTS = Millis(1000)
"""Of several control processes that come to judge the same rollout the first one does, the others find it done."""


def start(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, wanted: StartRollout, workers: Sequence[WorkerStatus]
) -> Rollout:
    """The first step begins. workers: what the model servers say now, from which the counting starts.

    Raises UnknownDeployment, UnknownVersion, UnknownAlias, NotServable, OtherModel, SameVersion, NoChampion, InvalidPlan,
    RolloutUnderWay, AbTestUnderWay.
    """
    if wanted.version is not None and wanted.alias is not None:
        raise TwoTargets
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    going = rollouts.rollout_under_way(tx, project_id, found.id)
    if going is not None:
        raise RolloutUnderWay(name, going.candidate, going.plan.steps[going.step].percent)
    ab_tests.make_way(tx, actor, found, end=False, why="")
    plan = rules.check_plan(Plan(wanted.steps, wanted.min_requests, wanted.guardrails))
    model = model_queries.model_by_id(tx, project_id, found.model_id)
    if wanted.model is not None and wanted.model != model.name:
        raise OtherModel(name, model.name, wanted.model)
    target = model_queries.resolve_in(tx, model, version=wanted.version, alias=wanted.alias)
    route_to(target)
    if len(found.routes) != 1:
        raise NoChampion(name, len(found.routes))
    if target.version == found.version:
        raise SameVersion(name, target.version)
    id_, at = new_id(), now()
    rollouts.insert_rollout(
        tx,
        {
            "id": id_,
            "project_id": project_id,
            "deployment_id": found.id,
            "model_id": found.model_id,
            "candidate": target.version,
            "champion": found.version,
            "routes": deployments.routes_document(found.routes),
            "alias": found.alias,
            "plan": rollouts.document(plan),
            "promote_alias": wanted.promote_alias,
            "state": "running",
            "step": 0,
            "code": "live",
            "reason": "",
            "judged": at,
            "note": checked_note(wanted.note),
            "created": at,
            "actor_id": actor.id,
            "actor_name": actor.name,
            "actor_kind": actor.kind,
            "ended": None,
        },
    )
    made = rollouts.rollout_named(tx, project_id, found.id, name, id_)
    reason = wanted.note or f"version {target.version} against version {found.version}"
    enter(tx, found, made, 0, Said("start", reason, actor, at, "live"), workers)
    outbox.add(tx, RolloutStarted(project_id, name, id_, model.name, target.version, found.version, actor.name))
    return rollouts.rollout_named(tx, project_id, found.id, name, id_)


def pause(tx: Tx, actor: Actor, project_id: ProjectId, name: str, which: str, *, note: str = "") -> Rollout:
    """The rollout stays where it is; a broken guardrail still rolls it back. Raises UnknownRollout, RolloutOver, NotPaused."""
    return _set_state(tx, actor, project_id, name, which, note, paused=True)


def resume(tx: Tx, actor: Actor, project_id: ProjectId, name: str, which: str, *, note: str = "") -> Rollout:
    """Raises UnknownRollout, RolloutOver, NotPaused."""
    return _set_state(tx, actor, project_id, name, which, note, paused=False)


def promote(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    which: str,
    workers: Sequence[WorkerStatus],
    *,
    to_end: bool = False,
    note: str = "",
) -> Rollout:
    """Somebody decides that the present step has lasted long enough; to_end: the steps left, too.

    The judge goes on in the next step and may roll back there. Raises UnknownRollout, RolloutOver.
    """
    found, going = _under_way(tx, project_id, name, which)
    at, last = now(), going.step == len(going.plan.steps) - 1
    evidence = _look(tx, found, going, workers, at)
    if to_end or last:
        complete(tx, found, going, Said("finish", checked_note(note) or "promoted by hand", actor, at, evidence=evidence))
    else:
        said = Said("advance", checked_note(note) or "promoted by hand", actor, at, "live", evidence)
        enter(tx, found, going, going.step + 1, said, workers)
    return rollouts.rollout_named(tx, project_id, found.id, name, going.id)


def roll_back(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, which: str, workers: Sequence[WorkerStatus], *, note: str = ""
) -> Rollout:
    """The champion gets all requests again. Raises UnknownRollout, RolloutOver."""
    found, going = _under_way(tx, project_id, name, which)
    at = now()
    evidence = _look(tx, found, going, workers, at)
    restore(tx, found, going, Said("roll_back", checked_note(note) or "rolled back by hand", actor, at, evidence=evidence))
    return rollouts.rollout_named(tx, project_id, found.id, name, going.id)


def judge(tx: Tx, rollout: Rollout, workers: Sequence[WorkerStatus], at: Millis) -> rules.Verdict | None:
    """Looks at the rollout and moves it on, back, or not at all; None where somebody else did so a moment ago.

    A hold is stored when what is waited for changes. Safe to repeat.
    """
    project_id = ProjectId(rollout.project_id)
    # The deployment first, as everybody else locks it: two orders would be a deadlock.
    found = deployments.deployment_by_id(tx, project_id, rollout.deployment_id, lock=True)
    going = rollouts.rollout_under_way(tx, project_id, rollout.deployment_id, lock=True)
    if found is None or going is None or going.id != rollout.id or at - going.judged < LEAST_BETWEEN_VERDICTS:
        return None
    evidence = _look(tx, found, going, workers, at)
    verdict = rules.judge(going.plan, going.step, evidence, at, paused=going.state == "paused")
    match verdict:
        case rules.Advance(reason):
            enter(tx, found, going, going.step + 1, Said("advance", reason, SYSTEM, at, "live", evidence), workers)
        case rules.Finish(reason):
            complete(tx, found, going, Said("finish", reason, SYSTEM, at, evidence=evidence))
        case rules.RollBack(reason):
            restore(tx, found, going, Said("roll_back", reason, SYSTEM, at, evidence=evidence))
        case rules.Hold(code, reason):
            if code != going.code:
                tell(tx, found, going, Said("hold", reason, SYSTEM, at, code, evidence), {})
            rollouts.update_rollout(tx, project_id, going.id, code=code, reason=reason)
    rollouts.update_rollout(tx, project_id, going.id, judged=at)
    return verdict


def _look(tx: Tx, found: Deployment, going: Rollout, workers: Sequence[WorkerStatus], at: Millis) -> Evidence:
    """Counts on from what was counted before, and keeps the result."""
    step = rollouts.step_of(tx, going.project_id, going.id, going.step)
    traffic: Traffic = follow(step.traffic, workers, found.id, step.started)
    model = model_queries.model_by_id(tx, going.project_id, going.model_id).name
    evidence = evidence_of(going, step, model, traffic, workers, labels_say(tx, going), at)
    rollouts.update_step(
        tx,
        going.project_id,
        going.id,
        going.step,
        live_since=evidence.live_since,
        traffic=rollouts.document(traffic),
        evidence=rollouts.document(evidence),
    )
    return evidence


def _under_way(tx: Tx, project_id: ProjectId, name: str, which: str) -> tuple[Deployment, Rollout]:
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    going = rollouts.rollout_named(tx, project_id, found.id, name, which, lock=True)
    if going.ended is not None:
        raise RolloutOver(name, going.state)
    return found, going


def _set_state(tx: Tx, actor: Actor, project_id: ProjectId, name: str, which: str, note: str, *, paused: bool) -> Rollout:
    found, going = _under_way(tx, project_id, name, which)
    if (going.state == "paused") == paused:
        raise NotPaused(name, going.state)
    reason = checked_note(note) or f"{'paused' if paused else 'resumed'} by {actor.name}"
    tell(tx, found, going, Said("pause" if paused else "resume", reason, actor, now()), {})
    # The code is emptied, so that what is waited for next is told anew.
    code, state = ("paused", "paused") if paused else ("", "running")
    rollouts.update_rollout(tx, project_id, going.id, state=state, code=code, reason=reason)
    return rollouts.rollout_named(tx, project_id, found.id, name, going.id)
