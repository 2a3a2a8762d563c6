"""Logged models and their files: what is asked of them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update

from tilth.backends.sql import Tx, hot, upsert
from tilth.core.clock import Millis
from tilth.core.hashing import FileEntry
from tilth.core.ids import Digest
from tilth.domains.models.queries.provenance import provenance_of
from tilth.domains.models.rules.folder import unservable
from tilth.domains.models.tables import (
    logged_model,
    logged_model_file,
    logged_model_param,
    logged_model_tag,
    model_version,
    registered_model,
)
from tilth.domains.models.types import LoggedModelStatus, UnknownLoggedModel
from tilth.wire.models import ModelDocument
from tilth.wire.registry import LoggedModelPage, LoggedModelView, ModelFileView, VersionName

MAX_FILES = 10_000
MAX_PAGE = 1000

_COLUMNS = tuple(logged_model.c)
_ONE = hot(
    select(*_COLUMNS).where(
        logged_model.c.project_id == bindparam("project_id"),
        logged_model.c.id == bindparam("id"),
        logged_model.c.deleted_at.is_(None),
    )
)
_FILES = hot(
    select(logged_model_file.c.path, logged_model_file.c.digest, logged_model_file.c.size)
    .where(logged_model_file.c.project_id == bindparam("project_id"), logged_model_file.c.logged_model_id == bindparam("id"))
    .order_by(logged_model_file.c.path)
    .limit(MAX_FILES)
)


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A row of `logged_model`, without its files."""

    id: str
    project_id: str
    experiment_id: str | None
    source_run_id: str | None
    name: str
    model_type: str
    status: LoggedModelStatus
    status_message: str
    created: Millis
    updated: Millis
    creator: str
    manifest_digest: str | None
    size: int
    flavour: str
    document: ModelDocument | None
    barred: str | None

    @property
    def unservable(self) -> str:
        return unservable(self.status, self.document, self.barred)


def logged_model_of(row: Any) -> LoggedModel:
    return LoggedModel(
        id=row.id,
        project_id=row.project_id,
        experiment_id=row.experiment_id,
        source_run_id=row.source_run_id,
        name=row.name,
        model_type=row.model_type,
        status=row.status,
        status_message=row.status_message,
        created=row.created,
        updated=row.updated,
        creator=row.creator_name,
        manifest_digest=row.manifest_digest,
        size=row.size,
        flavour=row.flavour,
        document=msgspec.convert(row.document, ModelDocument) if row.document is not None else None,
        barred=row.barred,
    )


def logged_model_by_id(tx: Tx, project_id: str, logged_model_id: str) -> LoggedModel:
    """Raises UnknownLoggedModel."""
    row = tx.one(_ONE, project_id=project_id, id=logged_model_id)
    if row is None:
        raise UnknownLoggedModel(logged_model_id)
    return logged_model_of(row)


def lock_logged_model(tx: Tx, project_id: str, logged_model_id: str) -> LoggedModel:
    """The same, held against other writers until the transaction ends. Raises UnknownLoggedModel."""
    row = tx.one(
        select(*_COLUMNS)
        .where(logged_model.c.project_id == project_id, logged_model.c.id == logged_model_id, logged_model.c.deleted_at.is_(None))
        .with_for_update()
    )
    if row is None:
        raise UnknownLoggedModel(logged_model_id)
    return logged_model_of(row)


def logged_models_by_ids(tx: Tx, project_id: str, ids: Sequence[str]) -> dict[str, LoggedModel]:
    """Those of at most 1,000 ids that exist."""
    rows = tx.all(select(*_COLUMNS).where(logged_model.c.project_id == project_id, logged_model.c.id.in_(list(ids)[:MAX_PAGE])))
    return {row.id: logged_model_of(row) for row in rows}


def files_of(tx: Tx, project_id: str, logged_model_id: str) -> list[FileEntry]:
    """Every file, sorted by path; at most 10,000 (no more are ever accepted)."""
    rows = tx.all(_FILES, project_id=project_id, id=logged_model_id)
    return [FileEntry(row.path, Digest(row.digest), row.size) for row in rows]


def file_of(tx: Tx, project_id: str, logged_model_id: str, path: str) -> FileEntry | None:
    row = tx.one(
        select(logged_model_file.c.path, logged_model_file.c.digest, logged_model_file.c.size)
        .join(logged_model, logged_model.c.id == logged_model_file.c.logged_model_id)
        .where(
            logged_model_file.c.project_id == project_id,
            logged_model_file.c.logged_model_id == logged_model_id,
            logged_model_file.c.path == path,
            logged_model.c.deleted_at.is_(None),
        )
    )
    return FileEntry(row.path, Digest(row.digest), row.size) if row else None


def files_across_projects(tx: Tx, logged_model_ids: Sequence[str]) -> dict[str, list[FileEntry]]:
    """Files of each of the logged models, for the model servers, which serve every project."""
    found: dict[str, list[FileEntry]] = {id_: [] for id_ in logged_model_ids}
    ids = list(found)
    for start in range(0, len(ids), 500):
        rows = tx.all(
            select(
                logged_model_file.c.logged_model_id,
                logged_model_file.c.path,
                logged_model_file.c.digest,
                logged_model_file.c.size,
            )
            .where(logged_model_file.c.logged_model_id.in_(ids[start : start + 500]))
            .order_by(logged_model_file.c.logged_model_id, logged_model_file.c.path)
        )
        for row in rows:
            found[row.logged_model_id].append(FileEntry(row.path, Digest(row.digest), row.size))
    return found


def file_across_projects(tx: Tx, logged_model_id: str, path: str) -> FileEntry | None:
    """One file of a sealed model, whatever its project: for a model server, whose credential is good for nothing else."""
    row = tx.one(
        select(logged_model_file.c.path, logged_model_file.c.digest, logged_model_file.c.size)
        .join(logged_model, logged_model.c.id == logged_model_file.c.logged_model_id)
        .where(
            logged_model_file.c.logged_model_id == logged_model_id,
            logged_model_file.c.path == path,
            logged_model.c.status == "ready",
            logged_model.c.deleted_at.is_(None),
        )
    )
    return FileEntry(row.path, Digest(row.digest), row.size) if row else None


def count_files(tx: Tx, project_id: str, logged_model_id: str) -> int:
    return int(
        tx.scalar(
            select(func.count())
            .select_from(logged_model_file)
            .where(logged_model_file.c.project_id == project_id, logged_model_file.c.logged_model_id == logged_model_id)
        )
    )


def registrations_of(tx: Tx, project_id: str, logged_model_id: str) -> list[VersionName]:
    """Versions that point to the logged model, at most 1,000."""
    rows = tx.all(
        select(registered_model.c.name, model_version.c.version)
        .join(registered_model, registered_model.c.id == model_version.c.model_id)
        .where(
            model_version.c.project_id == project_id,
            model_version.c.logged_model_id == logged_model_id,
            model_version.c.deleted_at.is_(None),
            registered_model.c.deleted_at.is_(None),
        )
        .order_by(registered_model.c.name, model_version.c.version)
        .limit(MAX_PAGE)
    )
    return [VersionName(row.name, row.version) for row in rows]


def params_of(tx: Tx, project_id: str, logged_model_id: str) -> dict[str, str]:
    return _pairs(tx, logged_model_param, project_id, logged_model_id)


def tags_of(tx: Tx, project_id: str, logged_model_id: str) -> dict[str, str]:
    return _pairs(tx, logged_model_tag, project_id, logged_model_id)


def _pairs(tx: Tx, table: Any, project_id: str, logged_model_id: str) -> dict[str, str]:
    rows = tx.all(
        select(table.c.key, table.c.value)
        .where(table.c.project_id == project_id, table.c.logged_model_id == logged_model_id)
        .order_by(table.c.key)
        .limit(MAX_PAGE)
    )
    return {row.key: row.value for row in rows}


def view_of(model: LoggedModel) -> LoggedModelView:
    """Without files, params, tags and registrations."""
    return LoggedModelView(
        id=model.id,
        name=model.name,
        experiment_id=model.experiment_id,
        source_run_id=model.source_run_id,
        model_type=model.model_type,
        status=model.status,
        status_message=model.status_message,
        created=model.created,
        updated=model.updated,
        creator=model.creator,
        manifest_digest=model.manifest_digest,
        size=model.size,
        flavour=model.flavour,
        unservable=model.unservable,
    )


def logged_model_view(tx: Tx, project_id: str, logged_model_id: str) -> LoggedModelView:
    """Everything about one logged model. Raises UnknownLoggedModel."""
    model = logged_model_by_id(tx, project_id, logged_model_id)
    return msgspec.structs.replace(
        view_of(model),
        document=model.document,
        files=[ModelFileView(f.path, f.digest, f.size) for f in files_of(tx, project_id, model.id)],
        params=params_of(tx, project_id, model.id),
        tags=tags_of(tx, project_id, model.id),
        registrations=registrations_of(tx, project_id, model.id),
        provenance=provenance_of(tx, project_id, model.id),
    )


def logged_models_page(
    tx: Tx, project_id: str, *, run_id: str | None = None, limit: int = 100, offset: int = 0
) -> LoggedModelPage:
    """Newest first, of one run or of all; limit at most 1,000. What versions were copied into is left out: nobody logged it."""
    conditions = [
        logged_model.c.project_id == project_id,
        logged_model.c.deleted_at.is_(None),
        logged_model.c.copied_from.is_(None),
    ]
    if run_id is not None:
        conditions.append(logged_model.c.source_run_id == run_id)
    rows = tx.all(
        select(*_COLUMNS)
        .where(*conditions)
        .order_by(logged_model.c.created.desc(), logged_model.c.id.desc())
        .limit(min(limit, MAX_PAGE))
        .offset(offset)
    )
    total = tx.scalar(select(func.count()).select_from(logged_model).where(*conditions))
    return LoggedModelPage([view_of(logged_model_of(row)) for row in rows], int(total))


def insert_logged_model(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(logged_model).values(**row))


def update_logged_model(tx: Tx, project_id: str, logged_model_id: str, **changes: Any) -> None:
    tx.run(
        update(logged_model)
        .where(logged_model.c.project_id == project_id, logged_model.c.id == logged_model_id)
        .values(**changes)
    )


def put_file(tx: Tx, project_id: str, logged_model_id: str, entry: FileEntry) -> None:
    tx.run(
        upsert(logged_model_file, keys=["logged_model_id", "path"], update=["digest", "size"]).values(
            logged_model_id=logged_model_id, path=entry.path, project_id=project_id, digest=entry.digest, size=entry.size
        )
    )


def delete_some_files(tx: Tx, project_id: str, logged_model_id: str, paths: Sequence[str]) -> None:
    for start in range(0, len(paths), MAX_PAGE):
        tx.run(
            delete(logged_model_file).where(
                logged_model_file.c.project_id == project_id,
                logged_model_file.c.logged_model_id == logged_model_id,
                logged_model_file.c.path.in_(list(paths[start : start + MAX_PAGE])),
            )
        )


def delete_tag(tx: Tx, project_id: str, logged_model_id: str, key: str) -> None:
    tx.run(
        delete(logged_model_tag).where(
            logged_model_tag.c.project_id == project_id,
            logged_model_tag.c.logged_model_id == logged_model_id,
            logged_model_tag.c.key == key,
        )
    )


def was_registered(tx: Tx, project_id: str, logged_model_id: str) -> bool:
    """Whether a version was made of it, be it deleted by now: that may come back."""
    found = tx.one(
        select(model_version.c.version)
        .where(model_version.c.project_id == project_id, model_version.c.logged_model_id == logged_model_id)
        .limit(1)
    )
    return found is not None


def delete_files(tx: Tx, project_id: str, logged_model_id: str) -> None:
    tx.run(
        delete(logged_model_file).where(
            logged_model_file.c.project_id == project_id, logged_model_file.c.logged_model_id == logged_model_id
        )
    )


def put_pairs(tx: Tx, project_id: str, logged_model_id: str, *, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    for table, pairs in ((logged_model_param, params), (logged_model_tag, tags)):
        tx.many(
            upsert(table, keys=["logged_model_id", "key"], update=["value"]),
            [{"logged_model_id": logged_model_id, "project_id": project_id, "key": k, "value": v} for k, v in pairs.items()],
        )
