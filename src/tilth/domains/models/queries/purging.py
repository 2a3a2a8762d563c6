"""What of the registry lies in the trash or is needed, and the statements that delete it for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, delete, exists, or_, select, union

from tilth.backends.sql import Row, Tx, metadata
from tilth.core.clock import Millis
from tilth.domains.models.tables import (
    evaluation,
    logged_model,
    logged_model_file,
    logged_model_param,
    logged_model_tag,
    model_policy,
    model_provenance,
    model_version,
    registered_model,
    version_hold,
)


def _belonging_to(parent: Table) -> list[Table]:
    """Tables that refer to the parent or to its versions, those that refer to others first."""
    parents = {parent.name, model_version.name}
    own = [table for table in metadata.sorted_tables if {key.column.table.name for key in table.foreign_keys} & parents]
    return [table for table in reversed(own) if "model_id" in table.c]


def deleted_models(tx: Tx, project_id: str, before: Millis, *, ids: Sequence[str] | None = None, limit: int = 1000) -> list[Row]:
    """id, name, deleted_at."""
    wanted = _in_trash(registered_model, project_id, before, ids)
    columns = (registered_model.c.id, registered_model.c.name, registered_model.c.deleted_at)
    return tx.all(select(*columns).where(*wanted).order_by(registered_model.c.deleted_at, registered_model.c.id).limit(limit))


def deleted_versions(tx: Tx, project_id: str, before: Millis, limit: int = 1000) -> list[Row]:
    """model_id, name, version, deleted_at of versions that were deleted by themselves, their model not."""
    columns = (model_version.c.model_id, registered_model.c.name, model_version.c.version, model_version.c.deleted_at)
    return tx.all(
        select(*columns)
        .join(registered_model, registered_model.c.id == model_version.c.model_id)
        .where(
            model_version.c.project_id == project_id, model_version.c.deleted_at < before, registered_model.c.deleted_at.is_(None)
        )
        .order_by(model_version.c.deleted_at, model_version.c.model_id, model_version.c.version)
        .limit(limit)
    )


def deleted_logged_models(
    tx: Tx, project_id: str, before: Millis, *, ids: Sequence[str] | None = None, limit: int = 1000
) -> list[Row]:
    """id, name, deleted_at of logged models that no version refers to any more."""
    wanted = _in_trash(logged_model, project_id, before, ids)
    unused = ~exists().where(model_version.c.logged_model_id == logged_model.c.id, model_version.c.project_id == project_id)
    columns = (logged_model.c.id, logged_model.c.name, logged_model.c.deleted_at)
    found = select(*columns).where(*wanted, unused)
    return tx.all(found.order_by(logged_model.c.deleted_at, logged_model.c.id).limit(limit))


def projects_with_trash_across_projects(tx: Tx, before: Millis) -> list[str]:
    """Projects with something that was deleted before the moment; at most 10,000."""
    tables = (registered_model, model_version, logged_model)
    together = union(*(select(table.c.project_id).where(table.c.deleted_at < before) for table in tables)).subquery()
    return [row.project_id for row in tx.all(select(together.c.project_id).order_by(together.c.project_id).limit(10_000))]


def runs_behind_versions(tx: Tx, project_id: str, run_ids: Sequence[str]) -> set[str]:
    """Those of at most 1,000 runs that a version came from, by itself or by its logged model; versions in the trash do not count."""
    living = model_version.join(registered_model, registered_model.c.id == model_version.c.model_id).outerjoin(
        logged_model, logged_model.c.id == model_version.c.logged_model_id
    )
    alive = (
        model_version.c.project_id == project_id,
        model_version.c.deleted_at.is_(None),
        registered_model.c.deleted_at.is_(None),
    )
    found = [
        select(column.label("run_id")).select_from(living).where(*alive, column.in_(list(run_ids)))
        for column in (model_version.c.run_id, logged_model.c.source_run_id)
    ]
    return {row.run_id for row in tx.all(union(*found).limit(1000))}


def version_numbers(tx: Tx, project_id: str, model_id: str) -> list[int]:
    """Of every version, deleted ones too; at most 10,000."""
    mine = select(model_version.c.version).where(model_version.c.project_id == project_id, model_version.c.model_id == model_id)
    return [row.version for row in tx.all(mine.order_by(model_version.c.version).limit(10_000))]


def is_held(tx: Tx, project_id: str, model_id: str, version: int | None) -> bool:
    """Whether somebody still needs the version, or any version of the model."""
    wanted = [version_hold.c.project_id == project_id, version_hold.c.model_id == model_id]
    if version is not None:
        wanted.append(version_hold.c.version == version)
    return tx.one(select(version_hold.c.holder).where(*wanted).limit(1)) is not None


def score_digests(
    tx: Tx, project_id: str, *, model_id: str | None, version: int | None, logged_model_id: str | None
) -> list[str]:
    """Bytes that the evaluations of a model, of one version, or of a logged model hold; at most 10,000.

    Scores that were announced and never sent were not claimed: the digest may be that of anybody's file.
    """
    mine = evaluation.c.logged_model_id == logged_model_id if model_id is None else evaluation.c.model_id == model_id
    wanted = [evaluation.c.project_id == project_id, evaluation.c.scores_size.is_not(None), mine]
    if version is not None:
        wanted.append(evaluation.c.version == version)
    return [row.scores_digest for row in tx.all(select(evaluation.c.scores_digest).where(*wanted).limit(10_000))]


def delete_model(tx: Tx, project_id: str, model_id: str) -> None:
    """The model, its versions, its policy, and whatever refers to them."""
    tx.run(delete(model_policy).where(model_policy.c.project_id == project_id, model_policy.c.model_id == model_id))
    for table in (*_belonging_to(registered_model), registered_model):
        column = table.c.id if table is registered_model else table.c.model_id
        tx.run(delete(table).where(table.c.project_id == project_id, column == model_id))


def delete_version(tx: Tx, project_id: str, model_id: str, version: int) -> None:
    """The version, and whatever refers to it. The history of aliases stays."""
    for table in _belonging_to(registered_model):
        if "version" in table.c and table.name != "model_alias_move":
            this = (table.c.model_id == model_id) & (table.c.version == version)
            tx.run(delete(table).where(table.c.project_id == project_id, this))


def delete_logged_model(tx: Tx, project_id: str, logged_model_id: str) -> None:
    this = logged_model_id
    for table in (logged_model_file, logged_model_param, logged_model_tag, model_provenance):
        tx.run(delete(table).where(table.c.project_id == project_id, table.c.logged_model_id == this))
    alone = or_(evaluation.c.model_id.is_(None), evaluation.c.model_id == "")
    tx.run(delete(evaluation).where(evaluation.c.project_id == project_id, evaluation.c.logged_model_id == this, alone))
    tx.run(delete(logged_model).where(logged_model.c.project_id == project_id, logged_model.c.id == this))


def _in_trash(table: Table, project_id: str, before: Millis, ids: Sequence[str] | None) -> list[Any]:
    wanted: list[Any] = [table.c.project_id == project_id, table.c.deleted_at < before]
    if ids is not None:
        wanted.append(table.c.id.in_(list(ids)))
    return wanted
