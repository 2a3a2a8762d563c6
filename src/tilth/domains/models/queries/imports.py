"""What an import of models must know."""

from __future__ import annotations

from sqlalchemy import select

from tilth.backends.sql import Row, Tx
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.tables import logged_model, model_version


def owner_across_projects(tx: Tx, logged_model_id: str) -> Row | None:
    """project_id, status of a logged model, deleted or not: ids are one space, so it is looked for everywhere."""
    columns = (logged_model.c.project_id, logged_model.c.status)
    return tx.one(select(*columns).where(logged_model.c.id == logged_model_id))


def versions_created(tx: Tx, model: RegisteredModel) -> dict[int, int]:
    """Number -> moment of every version, deleted ones too; at most 100,000."""
    mine = select(model_version.c.version, model_version.c.created).where(
        model_version.c.project_id == model.project_id, model_version.c.model_id == model.id
    )
    return {row.version: row.created for row in tx.all(mine.order_by(model_version.c.version).limit(100_000))}
