"""Uploads in parts over HTTP: any part may be sent again, by any process of the same caller, in any order."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from tilth.core.hashing import is_digest
from tilth.core.ids import Digest
from tilth.domains.tracking.actions import uploads
from tilth.domains.tracking.types import InvalidUpload, UploadComplete
from tilth.guard import AccessTo, Permission, delete, get, post, put
from tilth.guard.files import announced, blobs_of, max_file_bytes
from tilth.wire.uploads import CompleteUpload, OpenUpload, Upload, UploadPart

BASE = "/api/v1/p/{project:str}/uploads"
ONE = BASE + "/{upload_id:str}"

Asked = Request[Any, Any, Any]


@post(BASE, permission=Permission.RUN_WRITE)
async def open_upload(access: AccessTo[None], request: Asked, data: JSONBody[OpenUpload]) -> Upload:
    """With digest and size of a file whose upload stands already, that one is answered."""
    project, most = access.project.id, max_file_bytes(request)
    return await access.write(lambda tx: uploads.open_upload(tx, access.actor, project, data, max_bytes=most))


@get(ONE, permission=Permission.RUN_WRITE)
async def show_upload(access: AccessTo[None], upload_id: FromPath[str]) -> Upload:
    """Which parts are there."""
    return await access.read(lambda tx: uploads.upload_view(tx, access.actor, access.project.id, upload_id))


@put(ONE + "/parts/{number:int}", permission=Permission.RUN_WRITE, request_max_body_size=None, status_code=200)
async def put_part(access: AccessTo[None], request: Asked, upload_id: FromPath[str], number: FromPath[int]) -> UploadPart:
    """The raw bytes of one part. Header X-Tilth-Sha256: the digest that they must have."""
    project, expect = access.project.id, announced(request)
    most = max_file_bytes(request)
    blobs = blobs_of(request)
    await access.read(lambda tx: uploads.check_part(tx, access.actor, project, upload_id, number))
    stored = await blobs.put(request.stream(), expect=expect, max_bytes=min(most, uploads.MAX_PART_BYTES))
    return await access.write(lambda tx: uploads.add_part(tx, access.actor, project, upload_id, number, stored, max_bytes=most))


@post(ONE + "/complete", permission=Permission.RUN_WRITE, status_code=200)
async def complete_upload(
    access: AccessTo[None], request: Asked, upload_id: FromPath[str], data: JSONBody[CompleteUpload]
) -> Upload:
    """Joins the parts and checks the digest of the whole. Repeating it is harmless.

    The file is then used by PUT .../artifacts/{path}?upload=... or PUT .../logged-models/{id}/files/{path}?upload=...
    """
    project = access.project.id
    if data.digest is not None and not is_digest(data.digest):
        raise InvalidUpload("digest is not 64 lower-case hexadecimal digits: give the SHA-256 of the whole file")
    try:
        expected, parts = await access.read(lambda tx: uploads.parts_to_join(tx, access.actor, project, upload_id, data.parts))
        wanted = Digest(data.digest) if data.digest is not None else expected
        if expected is not None and wanted != expected:
            raise InvalidUpload(f"digest {wanted} is not {expected}, which the upload was opened for; open another upload")
        blobs = blobs_of(request)
        stored = await uploads.join_parts(blobs, parts, expect=wanted, max_bytes=max_file_bytes(request))
        return await access.write(lambda tx: uploads.complete_upload(tx, access.actor, project, upload_id, stored))
    except UploadComplete:
        return await access.read(lambda tx: uploads.upload_view(tx, access.actor, project, upload_id))


@delete(ONE, permission=Permission.RUN_WRITE)
async def abort_upload(access: AccessTo[None], upload_id: FromPath[str]) -> None:
    """Lets go of what arrived."""
    await access.write(lambda tx: uploads.drop_upload(tx, access.actor, access.project.id, upload_id))


routes = [open_upload, show_upload, put_part, complete_upload, abort_upload]
