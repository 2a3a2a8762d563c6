"""Uploads in parts: opened, filled, joined, used for an artifact or a file of a model, given up.

Parts and the joined file are blobs that the project claims while the upload stands. Only the principal who opened an upload may use it:
knowing the digest of a file gives nobody the file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from tilth.backends.sql import Row, Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.hashing import is_digest
from tilth.core.ids import Digest, ProjectId, new_id
from tilth.core.ports import Blobs, StoredBlob
from tilth.domains.tracking.queries import uploads
from tilth.domains.tracking.types import (
    IncompleteUpload,
    InvalidUpload,
    TooManyUploads,
    UnknownUpload,
    UploadComplete,
    UploadTooLarge,
)
from tilth.wire.uploads import DEFAULT_PART_BYTES, LEAST_PART_BYTES, MAX_PARTS, OpenUpload, Upload, UploadPart

MAX_OPEN_UPLOADS = 1000
MAX_PART_BYTES = 5 << 30


def open_upload(tx: Tx, actor: Actor, project_id: ProjectId, wanted: OpenUpload, *, max_bytes: int) -> Upload:
    """A new upload, or the one that the same caller opened for a file of this digest and size. max_bytes: of a whole file.

    Raises InvalidUpload, UploadTooLarge, TooManyUploads.
    """
    if wanted.digest is not None and not is_digest(wanted.digest):
        raise InvalidUpload("digest is not 64 lower-case hexadecimal digits: give the SHA-256 of the whole file")
    if wanted.size is not None and wanted.size < 0:
        raise InvalidUpload(f"size {wanted.size} is below 0: give the bytes of the whole file")
    if (wanted.size or 0) > max_bytes:
        raise UploadTooLarge(wanted.size or 0, max_bytes)
    if wanted.digest is not None and wanted.size is not None:
        standing = uploads.standing_upload(tx, project_id, actor.id, wanted.digest, wanted.size)
        if standing is not None:
            uploads.change_upload(tx, project_id, standing.id, {"touched": now()})
            return _shown(tx, standing)
    if uploads.open_uploads(tx, project_id) >= MAX_OPEN_UPLOADS:
        raise TooManyUploads(MAX_OPEN_UPLOADS)
    id_, moment = new_id(), now()
    row = {
        "id": id_,
        "principal_id": actor.id,
        "digest": wanted.digest,
        "size": wanted.size,
        "part_bytes": part_bytes(wanted.size, wanted.part_bytes),
        "blob": None,
        "blob_size": None,
        "created": moment,
        "touched": moment,
    }
    uploads.insert_upload(tx, project_id, row)
    return upload_view(tx, actor, project_id, id_)


def part_bytes(size: int | None, wanted: int | None) -> int:
    """Bytes of a part: what was asked for within 1 MiB and 5 GiB, and so large that 10,000 parts suffice. Raises InvalidUpload."""
    least = -(-(size or 0) // MAX_PARTS)
    chosen = DEFAULT_PART_BYTES if wanted is None else wanted
    if not LEAST_PART_BYTES <= chosen <= MAX_PART_BYTES:
        raise InvalidUpload(
            f"part_bytes {chosen} is out of bounds: choose {LEAST_PART_BYTES} to {MAX_PART_BYTES}, or leave it out"
        )
    return max(chosen, least)


def upload_view(tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str) -> Upload:
    """Raises UnknownUpload."""
    return _shown(tx, _upload(tx, actor, project_id, upload_id))


def check_part(tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str, number: int) -> None:
    """Before its bytes are taken in. Raises UnknownUpload, UploadComplete, InvalidUpload."""
    if not 1 <= number <= MAX_PARTS:
        raise InvalidUpload(f"part {number} is out of bounds: number parts from 1 to {MAX_PARTS}")
    if _upload(tx, actor, project_id, upload_id).blob is not None:
        raise UploadComplete(upload_id)


def add_part(
    tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str, number: int, stored: StoredBlob, *, max_bytes: int
) -> UploadPart:
    """Notes a part whose bytes are stored already; a part of the same number is replaced. Raises as check_part, UploadTooLarge."""
    check_part(tx, actor, project_id, upload_id, number)
    standing = {row.number: row for row in uploads.parts_of_upload(tx, project_id, upload_id)}
    total = stored.size + sum(row.size for row in standing.values() if row.number != number)
    if total > max_bytes:
        raise UploadTooLarge(total, max_bytes)
    blob_use.claim(tx, project_id, stored.digest, stored.size)
    if number in standing:
        blob_use.release(tx, project_id, Digest(standing[number].digest))
    uploads.put_part(tx, project_id, upload_id, number, stored.digest, stored.size)
    uploads.change_upload(tx, project_id, upload_id, {"touched": now()})
    return UploadPart(number, stored.size, stored.digest)


def parts_to_join(
    tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str, numbers: Sequence[int] | None
) -> tuple[Digest | None, list[UploadPart]]:
    """(announced digest of the whole, parts in order). numbers: None takes all, which must be 1, 2, ... without a gap.

    Raises UnknownUpload, UploadComplete, IncompleteUpload.
    """
    row = _upload(tx, actor, project_id, upload_id)
    if row.blob is not None:
        raise UploadComplete(upload_id)
    there = {
        part.number: UploadPart(part.number, part.size, part.digest)
        for part in uploads.parts_of_upload(tx, project_id, upload_id)
    }
    wanted = list(numbers) if numbers is not None else list(range(1, max(there, default=0) + 1))
    missing = [number for number in wanted if number not in there]
    if missing or len(set(wanted)) != len(wanted) or (not wanted and row.size):
        raise IncompleteUpload(upload_id, missing)
    size = sum(there[number].size for number in wanted)
    if row.size is not None and size != row.size:
        raise IncompleteUpload(upload_id, [], f"its parts have {size:,} bytes, announced were {row.size:,}")
    return (Digest(row.digest) if row.digest is not None else None), [there[number] for number in wanted]


async def join_parts(blobs: Blobs, parts: Sequence[UploadPart], *, expect: Digest | None, max_bytes: int) -> StoredBlob:
    """Streams the parts into one blob, outside of any transaction. Raises DigestMismatch, TooLarge, OutOfSpace, BlobMissing."""

    async def pieces() -> AsyncIterator[bytes]:
        for part in parts:
            async for piece in blobs.open(Digest(part.digest)):
                yield piece

    return await blobs.put(pieces(), expect=expect, max_bytes=max_bytes)


def complete_upload(tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str, stored: StoredBlob) -> Upload:
    """Claims the joined file and lets go of the parts. Raises UnknownUpload, UploadComplete."""
    if _upload(tx, actor, project_id, upload_id).blob is not None:
        raise UploadComplete(upload_id)
    blob_use.claim(tx, project_id, stored.digest, stored.size)
    _release_parts(tx, project_id, upload_id)
    changes = {"blob": stored.digest, "blob_size": stored.size, "touched": now()}
    uploads.change_upload(tx, project_id, upload_id, changes)
    return upload_view(tx, actor, project_id, upload_id)


def completed_upload(tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str) -> tuple[Digest, int]:
    """(digest, size) of a completed file, for a row that is to point to it. Write that row, then call drop_upload in the same transaction.

    Raises UnknownUpload, IncompleteUpload.
    """
    row = _upload(tx, actor, project_id, upload_id)
    if row.blob is None:
        raise IncompleteUpload(upload_id, [], "it was not completed")
    return Digest(row.blob), int(row.blob_size)


def drop_upload(tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str) -> None:
    """Lets go of what arrived: the upload was given up, or another row has claimed its file. Raises UnknownUpload."""
    _drop(tx, _upload(tx, actor, project_id, upload_id))


def sweep_uploads(tx: Tx, before: Millis) -> int:
    """Lets go of uploads that nobody has touched since `before`, of every project. Returns how many."""
    idle = uploads.idle_uploads_across_projects(tx, before)
    for row in idle:
        _drop(tx, row)
    return len(idle)


def _drop(tx: Tx, row: Row) -> None:
    project_id = ProjectId(row.project_id)
    _release_parts(tx, project_id, row.id)
    if row.blob is not None:
        blob_use.release(tx, project_id, Digest(row.blob))
    uploads.delete_upload(tx, project_id, row.id)


def _release_parts(tx: Tx, project_id: ProjectId, upload_id: str) -> None:
    for part in uploads.parts_of_upload(tx, project_id, upload_id):
        blob_use.release(tx, project_id, Digest(part.digest))
    uploads.delete_parts(tx, project_id, upload_id)


def _upload(tx: Tx, actor: Actor, project_id: ProjectId, upload_id: str) -> Row:
    row = uploads.upload_row(tx, project_id, actor.id, upload_id)
    if row is None:
        raise UnknownUpload(upload_id)
    return row


def _shown(tx: Tx, row: Row) -> Upload:
    parts = [UploadPart(part.number, part.size, part.digest) for part in uploads.parts_of_upload(tx, row.project_id, row.id)]
    complete = row.blob is not None
    return Upload(row.id, row.size, row.blob or row.digest, row.part_bytes, row.created, complete, parts)
