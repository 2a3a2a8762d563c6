"""Rollouts as the API and the pages show them."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.models import queries as models
from tilth.domains.serving.queries import deployments, rollouts
from tilth.domains.serving.rules.rollout_views import rollout_view
from tilth.domains.serving.types import Rollout
from tilth.wire.rollouts import RolloutDetail, RolloutPage, RolloutView


def rollout_detail(tx: Tx, project_id: str, deployment: str, which: str) -> RolloutDetail:
    """which: an id, or `latest`. Raises UnknownDeployment, UnknownRollout."""
    found = deployments.deployment_by_name(tx, project_id, deployment)
    known = rollouts.rollout_named(tx, project_id, found.id, deployment, which)
    return RolloutDetail(_view(tx, known, deployment), rollouts.verdicts_of(tx, project_id, known.id))


def rollout_one(tx: Tx, known: Rollout, deployment: str) -> RolloutView:
    """deployment: its name."""
    return _view(tx, known, deployment)


def rollout_page(tx: Tx, project_id: str, deployment: str, *, limit: int = 100, offset: int = 0) -> RolloutPage:
    """Newest first; limit at most 1,000. Raises UnknownDeployment."""
    found = deployments.deployment_by_name(tx, project_id, deployment)
    listed, total = rollouts.rollouts_page(tx, project_id, found.id, limit=limit, offset=offset)
    return RolloutPage([_view(tx, known, deployment) for known in listed], total)


def _view(tx: Tx, known: Rollout, deployment: str) -> RolloutView:
    names = models.model_names_across_projects(tx, [known.model_id])
    return rollout_view(known, deployment, names[known.model_id], rollouts.steps_of(tx, known.project_id, known.id))
