"""The moves of a rollout that is under way: into a step, to its end, and a verdict about it. Every move is audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.errors import Conflict, Denied, NotFound
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.serving.actions import ab_tests
from tilth.domains.serving.actions.following import catch_up
from tilth.domains.serving.actions.generations import MAX_NOTE_CHARS, Change, Form, again, apply, route_to
from tilth.domains.serving.queries import rollouts
from tilth.domains.serving.rules.rollouts import weight_of
from tilth.domains.serving.rules.traffic import follow
from tilth.domains.serving.types import WHOLE, Deployment, Rollout, RolloutEnded, RolloutUnderWay, Traffic
from tilth.wire.plane import WorkerStatus
from tilth.wire.rollouts import Evidence, RolloutState, VerdictKind

AUDITED: dict[VerdictKind, str] = {
    "start": "rollout.started",
    "advance": "rollout.advanced",
    "hold": "rollout.held",
    "roll_back": "rollout.rolled_back",
    "finish": "rollout.finished",
    "pause": "rollout.paused",
    "resume": "rollout.resumed",
    "cancel": "rollout.cancelled",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict: who gave it, when, and what for."""

    kind: VerdictKind
    reason: str
    actor: Actor
    at: Millis
    code: str = ""
    evidence: Evidence | None = None


def make_way(tx: Tx, actor: Actor, found: Deployment, *, cancel: bool, why: str) -> None:
    """Before somebody changes the deployment by hand: raises RolloutUnderWay or AbTestUnderWay, or with `cancel` ends either where it
    stands."""
    ab_tests.make_way(tx, actor, found, end=cancel, why=why)
    going = rollouts.rollout_under_way(tx, found.project_id, found.id, lock=True)
    if going is None:
        return
    if not cancel:
        raise RolloutUnderWay(found.name, going.candidate, going.plan.steps[going.step].percent)
    conclude(tx, found, going, "cancelled", Said("cancel", why, actor, now()))


def enter(tx: Tx, found: Deployment, rollout: Rollout, step: int, said: Said, workers: Sequence[WorkerStatus]) -> Deployment:
    """The candidate gets the step's share. The champion stays loaded, even where it gets no request: the way back is short."""
    project_id = ProjectId(rollout.project_id)
    planned = rollout.plan.steps[step]
    model = model_queries.model_by_id(tx, project_id, rollout.model_id)
    weight = weight_of(planned)
    routes = (
        route_to(model_queries.resolve_in(tx, model, version=rollout.candidate), weight),
        route_to(model_queries.resolve_in(tx, model, version=rollout.champion), WHOLE - weight),
    )
    note = f"version {rollout.candidate} at {planned.percent:g} %"
    form = Form(rollout.model_id, model.name, routes, found.alias, found.settings, version=rollout.champion)
    made = apply(tx, Change(said.actor, "rollout", note), found, form)
    if step > rollout.step:
        rollouts.update_step(tx, project_id, rollout.id, rollout.step, ended=said.at)
    rollouts.insert_step(
        tx,
        {
            "rollout_id": rollout.id,
            "number": step,
            "project_id": project_id,
            "weight": weight,
            "generation": made.generation,
            "started": said.at,
            "live_since": None,
            "ended": None,
            "traffic": rollouts.document(follow(Traffic(), workers, found.id, said.at)),
            "evidence": None,
        },
    )
    tell(tx, made, rollout, said, {"percent": planned.percent})
    rollouts.update_rollout(tx, project_id, rollout.id, step=step, code=said.code, reason=said.reason)
    return made


def restore(tx: Tx, found: Deployment, rollout: Rollout, said: Said) -> None:
    """The champion gets all requests again; the deployment follows its alias as before, unless that names the candidate by now."""
    project_id = ProjectId(rollout.project_id)
    model, routes = again(tx, project_id, rollout.routes)
    alias = found.alias
    if alias is not None and model_queries.resolve(tx, project_id, model, alias=alias).version == rollout.candidate:
        # Somebody moved the alias to the candidate meanwhile: following it would bring back what just failed.
        alias = None
    note = f"version {rollout.candidate} was rolled back: {said.reason}"[:MAX_NOTE_CHARS]
    form = Form(rollout.model_id, model, routes, alias, found.settings)
    made = apply(tx, Change(said.actor, "rollout", note), found, form)
    conclude(tx, made, rollout, "rolled_back", said)


def complete(tx: Tx, found: Deployment, rollout: Rollout, said: Said) -> None:
    """The candidate becomes what the deployment serves. It goes on following its alias only if that names the candidate."""
    project_id = ProjectId(rollout.project_id)
    model = model_queries.model_by_id(tx, project_id, rollout.model_id)
    target = model_queries.resolve_in(tx, model, version=rollout.candidate)
    alias, words = _alias_after(tx, rollout, found.alias, model.name)
    form = Form(rollout.model_id, model.name, (route_to(target),), alias, found.settings)
    note = f"version {rollout.candidate} was rolled out"
    made = apply(tx, Change(said.actor, "rollout", note), found, form)
    reason = f"{said.reason}{words}"
    conclude(tx, made, rollout, "finished", Said("finish", reason, said.actor, said.at, said.code, said.evidence))


def conclude(tx: Tx, found: Deployment, rollout: Rollout, state: RolloutState, said: Said) -> None:
    """The rollout is over; the routes are what they are."""
    project_id = ProjectId(rollout.project_id)
    tell(tx, found, rollout, said, {})
    rollouts.update_step(tx, project_id, rollout.id, rollout.step, ended=said.at)
    rollouts.update_rollout(
        tx, project_id, rollout.id, state=state, ended=said.at, judged=said.at, code=said.code, reason=said.reason
    )
    model = model_queries.model_by_id(tx, project_id, rollout.model_id).name
    sides = (rollout.candidate, rollout.champion)
    outbox.add(tx, RolloutEnded(project_id, found.name, rollout.id, model, *sides, state, said.reason, said.actor.name))
    if state != "cancelled":
        # The alias may have moved meanwhile, when it could not be followed.
        catch_up(tx, found, "the rollout's end")


def tell(tx: Tx, found: Deployment, rollout: Rollout, said: Said, detail: dict[str, object]) -> None:
    """Stores and audits a verdict."""
    project_id = ProjectId(rollout.project_id)
    rollouts.insert_verdict(
        tx,
        {
            "rollout_id": rollout.id,
            "number": rollouts.next_verdict(tx, project_id, rollout.id),
            "project_id": project_id,
            "step": rollout.step,
            "at": said.at,
            "kind": said.kind,
            "code": said.code,
            "reason": said.reason,
            "evidence": None if said.evidence is None else rollouts.document(said.evidence),
            "actor_id": said.actor.id,
            "actor_name": said.actor.name,
        },
    )
    known = {"rollout": rollout.id, "version": rollout.candidate, "champion": rollout.champion, "reason": said.reason}
    record(tx, said.actor, AUDITED[said.kind], project_id=project_id, thing=found.name, detail=known | detail)


def _alias_after(tx: Tx, rollout: Rollout, alias: str | None, model: str) -> tuple[str | None, str]:
    """The alias that the deployment follows from now on, and what there is to say about it."""
    if alias is None:
        return None, ""
    project_id = ProjectId(rollout.project_id)
    if rollout.promote_alias:
        starter = Actor(rollout.by_id, rollout.by, rollout.by_kind, via=f"rollout:{rollout.id}")  # type: ignore[arg-type]
        try:
            models.set_alias(tx, starter, project_id, model, alias, rollout.candidate)
        except (Conflict, Denied, NotFound) as refused:
            return None, f"; the alias {alias} was not moved: {refused}; the deployment is pinned"
        return alias, f"; the alias {alias} names it now"
    named = model_queries.resolve(tx, project_id, model, alias=alias).version
    if named == rollout.candidate:
        return alias, ""
    return None, f"; the alias {alias} still names version {named}, so the deployment is pinned"
