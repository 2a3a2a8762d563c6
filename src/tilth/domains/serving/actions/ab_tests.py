"""A/B tests: designed, started, stopped, concluded. Every step is audited; what is served changes by generations, as always."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.models import queries as models
from tilth.domains.serving.actions.generations import Change, Form, again, apply, checked_note, route_to
from tilth.domains.serving.queries import ab_tests as queries
from tilth.domains.serving.queries import deployments, rollouts
from tilth.domains.serving.rules.ab_design import design_of
from tilth.domains.serving.types import Deployment, RolloutUnderWay
from tilth.domains.serving.types.ab_tests import AbTest, AbTestUnderWay, Before, NoSuchArm, WrongAbState
from tilth.wire.ab import AbEvidence, CreateAb


def create(tx: Tx, actor: Actor, project_id: ProjectId, name: str, wanted: CreateAb) -> AbTest:
    """A design; nothing is served otherwise yet.

    Raises UnknownDeployment, InvalidAbTest, InvalidSplit, UnknownVersion, NotServable.
    """
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    design, hypothesis = design_of(wanted), checked_note(wanted.hypothesis)
    model = models.model_by_id(tx, project_id, found.model_id)
    for arm in design.arms:
        route_to(models.resolve_in(tx, model, version=arm.version))
    number = queries.next_ab_number(tx, project_id, found.id)
    queries.insert_ab_test(
        tx,
        {
            "id": new_id(),
            "project_id": project_id,
            "deployment_id": found.id,
            "number": number,
            "model_id": found.model_id,
            "state": "draft",
            "hypothesis": hypothesis,
            "design": queries.document(design),
            "before": None,
            "created": now(),
            "started": None,
            "ended": None,
            "actor_id": actor.id,
            "actor_name": actor.name,
            "winner": None,
            "note": "",
            "evidence": None,
        },
    )
    percent = {str(arm.version): arm.weight / 100 for arm in design.arms}
    detail = {"test": number, "percent": percent, "metric": design.metric, "effect": design.effect, "hypothesis": hypothesis}
    record(tx, actor, "ab_test.created", project_id=project_id, thing=name, detail=detail)
    return queries.ab_test_named(tx, project_id, found.id, name, number)


def start(tx: Tx, actor: Actor, project_id: ProjectId, name: str, number: int) -> AbTest:
    """The arms share out the requests from now on, by a split of the test's own. The deployment is pinned while it runs.

    Raises UnknownDeployment, UnknownAbTest, WrongAbState, AbTestUnderWay, RolloutUnderWay, NotServable, UnknownVersion.
    """
    found, test = _named(tx, project_id, name, number)
    _expect(test, "a draft", test.state == "draft")
    going = rollouts.rollout_under_way(tx, project_id, found.id)
    if going is not None:
        raise RolloutUnderWay(name, going.candidate, going.plan.steps[going.step].percent)
    other = queries.running_ab_test(tx, project_id, found.id)
    if other is not None:
        raise AbTestUnderWay(name, other.number)
    model = models.model_by_id(tx, project_id, test.model_id)
    routes = tuple(route_to(models.resolve_in(tx, model, version=arm.version), arm.weight) for arm in test.design.arms)
    queries.update_ab_test(
        tx, project_id, test.id, state="running", started=now(), before=queries.document(Before(found.routes, found.alias))
    )
    # A split of its own: who met the candidate of an earlier test is as likely as anybody to meet the control of this one.
    deployments.update_deployment(tx, project_id, found.id, salt=test.id)
    form = Form(test.model_id, model.name, routes, None, found.settings, version=test.design.control.version)
    apply(tx, Change(actor, "ab", f"A/B test {number}"), found, form)
    record(tx, actor, "ab_test.started", project_id=project_id, thing=name, detail={"test": number})
    return queries.ab_test_named(tx, project_id, found.id, name, number)


def stop(tx: Tx, actor: Actor, project_id: ProjectId, name: str, number: int, *, note: str = "") -> AbTest:
    """What was served before the test is served again.

    Raises UnknownDeployment, UnknownAbTest, WrongAbState, NotServable, UnknownVersion.
    """
    found, test = _named(tx, project_id, name, number)
    _expect(test, "running", test.state == "running" and test.before is not None)
    if test.before is not None:
        apply(tx, Change(actor, "ab", f"A/B test {number} was stopped"), found, _form_before(tx, project_id, found, test.before))
    _end(tx, actor, found, test, checked_note(note))
    return queries.ab_test_named(tx, project_id, found.id, name, number)


def conclude(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    number: int,
    evidence: AbEvidence,
    *,
    winner: int | None,
    note: str = "",
) -> AbTest:
    """The winner, by default the control, gets every request; the evidence is kept with the decision.

    evidence: by queries.ab_evidence, read before, as counting takes a while. A test that was stopped changes nothing that is served.
    Raises UnknownDeployment, UnknownAbTest, WrongAbState, NoSuchArm, NotServable, UnknownVersion.
    """
    found, test = _named(tx, project_id, name, number)
    _expect(test, "running or stopped", test.state in ("running", "stopped"))
    chosen = test.design.control.version if winner is None else winner
    arms = [arm.version for arm in test.design.arms]
    if chosen not in arms:
        raise NoSuchArm(chosen, ", ".join(map(str, arms)))
    if test.state == "running":
        model = models.model_by_id(tx, project_id, test.model_id)
        route = route_to(models.resolve_in(tx, model, version=chosen))
        alias = test.before.alias if test.before is not None else None
        if alias is not None and models.aliases_of(tx, model).get(alias) != chosen:
            alias = None
        form = Form(test.model_id, model.name, (route,), alias, found.settings)
        apply(tx, Change(actor, "ab", f"version {chosen} won A/B test {number}"), found, form)
    queries.update_ab_test(
        tx,
        project_id,
        test.id,
        state="concluded",
        ended=test.ended or now(),
        winner=chosen,
        note=checked_note(note),
        evidence=queries.document(evidence),
    )
    detail = {"test": number, "winner": chosen, "note": note, "outcome": evidence.verdict.outcome, "why": evidence.verdict.words}
    record(tx, actor, "ab_test.concluded", project_id=project_id, thing=name, detail=detail)
    return queries.ab_test_named(tx, project_id, found.id, name, number)


def _named(tx: Tx, project_id: ProjectId, name: str, number: int) -> tuple[Deployment, AbTest]:
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    return found, queries.ab_test_named(tx, project_id, found.id, name, number, lock=True)


def _expect(test: AbTest, wanted: str, holds: bool) -> None:
    if not holds:
        raise WrongAbState(test.number, test.state, wanted)


def _form_before(tx: Tx, project_id: ProjectId, found: Deployment, before: Before) -> Form:
    """What was served before; of a deployment that followed an alias, what that names by now."""
    model = models.model_by_id(tx, project_id, before.routes[0].model_id)
    if before.alias is not None and before.alias in models.aliases_of(tx, model):
        route = route_to(models.resolve_in(tx, model, alias=before.alias))
        return Form(route.model_id, model.name, (route,), before.alias, found.settings)
    name, routes = again(tx, project_id, before.routes)
    return Form(routes[0].model_id, name, routes, None, found.settings)


def _end(tx: Tx, actor: Actor, found: Deployment, test: AbTest, note: str) -> None:
    queries.update_ab_test(tx, found.project_id, test.id, state="stopped", ended=now(), note=note)
    record(
        tx, actor, "ab_test.stopped", project_id=found.project_id, thing=found.name, detail={"test": test.number, "note": note}
    )


def make_way(tx: Tx, actor: Actor, found: Deployment, *, end: bool, why: str) -> None:
    """Before the deployment is changed otherwise: raises AbTestUnderWay, or with `end` stops the test; the routes are the caller's."""
    test = queries.running_ab_test(tx, found.project_id, found.id)
    if test is None:
        return
    if not end:
        raise AbTestUnderWay(found.name, test.number)
    _end(tx, actor, found, test, why)
