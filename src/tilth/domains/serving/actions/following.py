"""A deployment takes up what its alias names by now."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.core.actors import SYSTEM
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.models import queries as model_queries
from tilth.domains.models.types import AliasMoved, ResolvedVersion
from tilth.domains.serving.actions.generations import Change, Form, apply, route_to
from tilth.domains.serving.queries import deployments as queries
from tilth.domains.serving.queries import rollouts
from tilth.domains.serving.types import Deployment


def follow_alias(tx: Tx, event: AliasMoved) -> list[Deployment]:
    """Moves every deployment that follows the alias to the version it names NOW, so that late or repeated events do no harm.

    Where that version cannot be served, or a rollout moves the shares, what serves goes on and the deployment says why. Returns those
    that changed.
    """
    followers = queries.followers_of(tx, event.project_id, event.model_id, event.alias)
    changed = [catch_up(tx, found, f"alias {event.alias} moved by {event.by}") for found in followers]
    return [found for found in changed if found is not None]


def catch_up(tx: Tx, found: Deployment, why: str) -> Deployment | None:
    """The deployment at the version that its alias names now; None if nothing changed. The deployment is locked."""
    project_id, alias = ProjectId(found.project_id), found.alias
    if alias is None:
        return None
    model = model_queries.model_by_id(tx, project_id, found.model_id)
    if alias not in model_queries.aliases_of(tx, model):
        return None
    target = model_queries.resolve_in(tx, model, alias=alias)
    going = rollouts.rollout_under_way(tx, project_id, found.id)
    if going is not None:
        if target.version not in (going.candidate, going.champion):
            _note_problem(tx, found, target, f"is followed when the rollout of version {going.candidate} has ended")
        return None
    if target.unservable:
        _note_problem(tx, found, target, f"cannot be served: {target.unservable}; version {found.version} serves on")
        return None
    if target.version == found.version and not found.problem:
        return None
    form = Form(target.model_id, target.model, (route_to(target),), alias, found.settings)
    return apply(tx, Change(SYSTEM, "alias", why), found, form)


def _note_problem(tx: Tx, found: Deployment, target: ResolvedVersion, why: str) -> None:
    problem = f"alias {found.alias!r} names version {target.version}, which {why}"
    if problem == found.problem:
        return
    queries.update_deployment(tx, found.project_id, found.id, problem=problem, updated=now())
    detail = {"alias": found.alias, "version": target.version, "why": why}
    record(tx, SYSTEM, "deployment.held_back", project_id=found.project_id, thing=found.name, detail=detail)
