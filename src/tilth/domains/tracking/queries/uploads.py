"""Rows of uploads in parts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select, update

from tilth.backends.sql import Row, Tx, upsert
from tilth.core.clock import Millis
from tilth.domains.tracking.tables import upload, upload_part
from tilth.wire.uploads import MAX_PARTS

_COLUMNS = [
    upload.c[name]
    for name in ("id", "project_id", "principal_id", "digest", "size", "part_bytes", "blob", "blob_size", "created", "touched")
]


def upload_row(tx: Tx, project_id: str, principal_id: str, upload_id: str) -> Row | None:
    return tx.one(
        select(*_COLUMNS).where(
            upload.c.project_id == project_id, upload.c.id == upload_id, upload.c.principal_id == principal_id
        )
    )


def standing_upload(tx: Tx, project_id: str, principal_id: str, digest: str, size: int) -> Row | None:
    """The newest upload of this caller for a file with this digest."""
    return tx.one(
        select(*_COLUMNS)
        .where(
            upload.c.project_id == project_id,
            upload.c.principal_id == principal_id,
            upload.c.digest == digest,
            upload.c.size == size,
        )
        .order_by(upload.c.id.desc())
        .limit(1)
    )


def open_uploads(tx: Tx, project_id: str) -> int:
    return int(tx.scalar(select(func.count()).select_from(upload).where(upload.c.project_id == project_id)))


def insert_upload(tx: Tx, project_id: str, row: dict[str, Any]) -> None:
    tx.run(insert(upload).values(project_id=project_id, **row))


def change_upload(tx: Tx, project_id: str, upload_id: str, changes: dict[str, Any]) -> None:
    tx.run(update(upload).where(upload.c.project_id == project_id, upload.c.id == upload_id).values(**changes))


def delete_upload(tx: Tx, project_id: str, upload_id: str) -> None:
    delete_parts(tx, project_id, upload_id)
    tx.run(delete(upload).where(upload.c.project_id == project_id, upload.c.id == upload_id))


def parts_of_upload(tx: Tx, project_id: str, upload_id: str) -> list[Row]:
    """number, size, digest in order of number; at most 10,000."""
    return tx.all(
        select(upload_part.c.number, upload_part.c.size, upload_part.c.digest)
        .join(upload, upload.c.id == upload_part.c.upload_id)
        .where(upload.c.project_id == project_id, upload_part.c.upload_id == upload_id)
        .order_by(upload_part.c.number)
        .limit(MAX_PARTS)
    )


def put_part(tx: Tx, project_id: str, upload_id: str, number: int, digest: str, size: int) -> None:
    """The upload must be one of the project: its row was read before."""
    statement = upsert(upload_part, ["upload_id", "number"], ["digest", "size"])
    tx.run(statement, upload_id=upload_id, number=number, digest=digest, size=size)


def delete_parts(tx: Tx, project_id: str, upload_id: str) -> None:
    owner = select(upload.c.id).where(upload.c.project_id == project_id, upload.c.id == upload_id)
    tx.run(delete(upload_part).where(upload_part.c.upload_id.in_(owner)))


def idle_uploads_across_projects(tx: Tx, before: Millis, limit: int = 100) -> list[Row]:
    """Uploads that nobody has touched since `before`, oldest first."""
    return tx.all(select(*_COLUMNS).where(upload.c.touched < before).order_by(upload.c.touched).limit(limit))
