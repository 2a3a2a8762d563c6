"""Deployments and their generations: what is asked of them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, update

from tilth.backends.sql import Tx
from tilth.domains.serving.tables import deployment, deployment_generation
from tilth.domains.serving.types import Deployment, Generation, Route, UnknownDeployment
from tilth.wire.serving import DeploymentSettings

MAX_PAGE = 1000


def deployment_of(row: Any) -> Deployment:
    return Deployment(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        model_id=row.model_id,
        alias=row.alias,
        version=row.version,
        generation=row.generation,
        routes=_routes(row.routes),
        settings=_settings(row.settings),
        salt=row.salt,
        created=row.created,
        updated=row.updated,
        changed_by=row.changed_by_name,
        problem=row.problem,
    )


def _routes(document: Any) -> tuple[Route, ...]:
    return msgspec.convert(document, tuple[Route, ...])


def _settings(document: Any) -> DeploymentSettings:
    return msgspec.convert(document, DeploymentSettings)


def deployment_by_name(tx: Tx, project_id: str, name: str, *, lock: bool = False) -> Deployment:
    """lock: hold it against other writers until the transaction ends. Raises UnknownDeployment."""
    found = deployment_or_none(tx, project_id, name, lock=lock)
    if found is None:
        raise UnknownDeployment(name)
    return found


def deployment_or_none(tx: Tx, project_id: str, name: str, *, lock: bool = False) -> Deployment | None:
    statement = select(*deployment.c).where(
        deployment.c.project_id == project_id, deployment.c.name == name, deployment.c.deleted_at.is_(None)
    )
    row = tx.one(statement.with_for_update() if lock else statement)
    return deployment_of(row) if row else None


def deployment_by_id(tx: Tx, project_id: str, deployment_id: str, *, lock: bool = False) -> Deployment | None:
    """None once it was taken down."""
    statement = select(*deployment.c).where(
        deployment.c.project_id == project_id, deployment.c.id == deployment_id, deployment.c.deleted_at.is_(None)
    )
    row = tx.one(statement.with_for_update() if lock else statement)
    return deployment_of(row) if row else None


def followers_of(tx: Tx, project_id: str, model_id: str, alias: str) -> list[Deployment]:
    """Deployments that follow an alias, locked; at most 1,000."""
    rows = tx.all(
        select(*deployment.c)
        .where(
            deployment.c.project_id == project_id,
            deployment.c.model_id == model_id,
            deployment.c.alias == alias,
            deployment.c.deleted_at.is_(None),
        )
        .order_by(deployment.c.id)
        .limit(MAX_PAGE)
        .with_for_update()
    )
    return [deployment_of(row) for row in rows]


def deployments_page(tx: Tx, project_id: str, *, limit: int = 100, offset: int = 0) -> tuple[list[Deployment], int]:
    """Deployments by name, and how many there are in all; limit at most 1,000."""
    conditions = (deployment.c.project_id == project_id, deployment.c.deleted_at.is_(None))
    rows = tx.all(select(*deployment.c).where(*conditions).order_by(deployment.c.name).limit(min(limit, MAX_PAGE)).offset(offset))
    total = tx.scalar(select(func.count()).select_from(deployment).where(*conditions))
    return [deployment_of(row) for row in rows], int(total)


def deployments_of_model(tx: Tx, project_id: str, model_id: str) -> list[Deployment]:
    """Deployments whose present generation serves the model, by name; at most 1,000."""
    rows = tx.all(
        select(*deployment.c)
        .where(deployment.c.project_id == project_id, deployment.c.model_id == model_id, deployment.c.deleted_at.is_(None))
        .order_by(deployment.c.name)
        .limit(MAX_PAGE)
    )
    return [deployment_of(row) for row in rows]


def deployments_across_projects(tx: Tx) -> list[Deployment]:
    """Everything that the model servers serve, at most 10,000 deployments."""
    rows = tx.all(select(*deployment.c).where(deployment.c.deleted_at.is_(None)).order_by(deployment.c.id).limit(10_000))
    return [deployment_of(row) for row in rows]


def deployment_across_projects(tx: Tx, deployment_id: str, *, lock: bool = False) -> Deployment | None:
    """lock: hold it against other writers until the transaction ends. None for one that is gone."""
    statement = select(*deployment.c).where(deployment.c.id == deployment_id, deployment.c.deleted_at.is_(None))
    row = tx.one(statement.with_for_update() if lock else statement)
    return deployment_of(row) if row else None


def projects_served_across_projects(tx: Tx) -> list[str]:
    """Ids of the projects that have a deployment, at most 10,000."""
    rows = tx.all(select(deployment.c.project_id).where(deployment.c.deleted_at.is_(None)).distinct().limit(10_000))
    return sorted(row.project_id for row in rows)


def generations_of(tx: Tx, project_id: str, deployment_id: str, limit: int = 200) -> list[Generation]:
    """Newest first, at most 1,000."""
    rows = tx.all(
        select(*deployment_generation.c)
        .where(deployment_generation.c.project_id == project_id, deployment_generation.c.deployment_id == deployment_id)
        .order_by(deployment_generation.c.generation.desc())
        .limit(min(limit, MAX_PAGE))
    )
    return [_generation(row) for row in rows]


def generation_of(tx: Tx, project_id: str, deployment_id: str, generation: int) -> Generation | None:
    row = tx.one(
        select(*deployment_generation.c).where(
            deployment_generation.c.project_id == project_id,
            deployment_generation.c.deployment_id == deployment_id,
            deployment_generation.c.generation == generation,
        )
    )
    return _generation(row) if row else None


def _generation(row: Any) -> Generation:
    return Generation(
        generation=row.generation,
        cause=row.cause,
        model_id=row.model_id,
        alias=row.alias,
        from_version=row.from_version,
        version=row.version,
        routes=_routes(row.routes),
        settings=_settings(row.settings),
        note=row.note,
        created=row.created,
        by=row.actor_name,
    )


def routes_document(routes: Sequence[Route]) -> Any:
    return msgspec.to_builtins(tuple(routes))


def insert_deployment(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(deployment).values(**row))


def update_deployment(tx: Tx, project_id: str, deployment_id: str, **changes: Any) -> None:
    tx.run(update(deployment).where(deployment.c.project_id == project_id, deployment.c.id == deployment_id).values(**changes))


def insert_generation(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(deployment_generation).values(**row))
