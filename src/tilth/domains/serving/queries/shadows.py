"""Versions in the shadow of deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, insert, select

from tilth.backends.sql import Row, Tx
from tilth.domains.serving.queries.deployments import deployment_of
from tilth.domains.serving.queries.plane import plane_documents_across_projects
from tilth.domains.serving.tables import deployment, deployment_shadow
from tilth.domains.serving.types import WHOLE, Deployment, Route
from tilth.domains.serving.types.predictions import Shadow
from tilth.wire.shipping import PlaneShadows

MOST_SHADOWS = 3
"""Of one deployment: each answers every request once more."""
_MOST = 1000


def shadows_of(tx: Tx, project_id: str, deployment_id: str) -> list[Shadow]:
    """By version."""
    rows = tx.all(
        select(*deployment_shadow.c)
        .where(deployment_shadow.c.project_id == project_id, deployment_shadow.c.deployment_id == deployment_id)
        .order_by(deployment_shadow.c.version)
        .limit(_MOST)
    )
    return [_shadow(row) for row in rows]


def plane_shadows_across_projects(tx: Tx) -> PlaneShadows:
    """What the shadow process must load and ask, of at most 1,000 shadows."""
    found = [_shadow(row) for row in tx.all(select(*deployment_shadow.c).order_by(deployment_shadow.c.started).limit(_MOST))]
    by_deployment: dict[str, list[Shadow]] = {}
    for shadow in found:
        by_deployment.setdefault(shadow.deployment_id, []).append(shadow)
    rows = tx.all(
        select(*deployment.c).where(deployment.c.id.in_(list(by_deployment)), deployment.c.deleted_at.is_(None)).limit(_MOST)
    )
    documents = plane_documents_across_projects(tx, [_as_shadowed(deployment_of(row), by_deployment[row.id]) for row in rows])
    since: dict[str, int] = {
        f"{document.id}/{version.key}": next(s.started for s in by_deployment[document.id] if s.version == version.version)
        for document in documents
        for version in document.versions
    }
    return PlaneShadows(documents, since)


def _as_shadowed(found: Deployment, shadows: list[Shadow]) -> Deployment:
    """The deployment with its shadows in the place of its versions."""
    routes = tuple(
        Route(s.model_id, s.version, s.logged_model_id, s.manifest_digest, WHOLE if number == 0 else 0)
        for number, s in enumerate(shadows)
    )
    return replace(found, routes=routes)


def insert_shadow(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(deployment_shadow).values(**row))


def delete_shadows(tx: Tx, project_id: str, deployment_id: str, version: int | None = None) -> int:
    """One, or all of the deployment; how many there were."""
    conditions = [deployment_shadow.c.project_id == project_id, deployment_shadow.c.deployment_id == deployment_id]
    if version is not None:
        conditions.append(deployment_shadow.c.version == version)
    return tx.run(delete(deployment_shadow).where(*conditions))


def _shadow(row: Row) -> Shadow:
    return Shadow(
        deployment_id=row.deployment_id,
        project_id=row.project_id,
        model_id=row.model_id,
        version=row.version,
        logged_model_id=row.logged_model_id,
        manifest_digest=row.manifest_digest,
        started=row.started,
        by=row.actor_name,
    )
