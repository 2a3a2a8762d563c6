"""Our own API of logged models: opened, filled file by file, finalised, read."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.hashing import FileEntry
from tilth.core.ids import Digest
from tilth.core.paging import page_start
from tilth.domains.models import actions, queries
from tilth.domains.models.api.paths import path_after
from tilth.domains.models.api.sealing import finalize
from tilth.domains.models.types import ModelSealed, UnknownModelFile
from tilth.domains.tracking.actions import uploads
from tilth.domains.tracking.types import UnknownUpload
from tilth.guard import Access, AccessTo, Permission, delete, get, post, put
from tilth.guard.files import UNCOMPRESSED, announced, blobs_of, download, max_file_bytes
from tilth.wire.registry import (
    CreateLoggedModel,
    FinalizeLoggedModel,
    LoggedModelPage,
    LoggedModelView,
    ModelFileView,
    TagLoggedModel,
)

BASE = "/api/v1/p/{project:str}/logged-models"
_SEGMENTS_BEFORE_PATH = 7
"""api, v1, p, <project>, logged-models, <id>, files."""


@post(BASE, permission=Permission.MODEL_WRITE)
async def create(access: AccessTo[None], data: JSONBody[CreateLoggedModel]) -> LoggedModelView:
    """Opens a logged model with the status pending."""

    def write(tx: Tx) -> LoggedModelView:
        model = actions.create_logged_model(
            tx,
            access.actor,
            access.project.id,
            name=data.name,
            source_run_id=data.source_run_id,
            experiment_id=data.experiment_id,
            model_type=data.model_type,
            params=data.params,
            tags=data.tags,
        )
        return queries.logged_model_view(tx, access.project.id, model.id)

    return await access.write(write)


@get(BASE, permission=Permission.MODEL_READ)
async def list_logged_models(
    access: AccessTo[None], run_id: FromQuery[str] = "", limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> LoggedModelPage:
    """Newest first; of one run where `run_id` is given."""
    project_id = access.project.id
    return await access.read(
        lambda tx: queries.logged_models_page(
            tx, project_id, run_id=run_id or None, limit=max(1, limit), offset=page_start(offset)
        )
    )


@get(BASE + "/{logged_model_id:str}", permission=Permission.MODEL_READ)
async def read(access: AccessTo[None], logged_model_id: FromPath[str]) -> LoggedModelView:
    return await access.read(lambda tx: queries.logged_model_view(tx, access.project.id, logged_model_id))


@put(
    BASE + "/{logged_model_id:str}/files/{path:path}",
    permission=Permission.MODEL_WRITE,
    request_max_body_size=None,
    status_code=201,
)
async def upload(
    request: Request[Any, Any, Any],
    access: AccessTo[None],
    logged_model_id: FromPath[str],
    path: FromPath[str],
    upload: FromQuery[str] = "",
) -> ModelFileView:
    """The raw bytes of one file. X-Tilth-Sha256: the digest they must have. upload: a completed upload in parts, instead of bytes."""
    project_id, where = access.project.id, path_after(request, _SEGMENTS_BEFORE_PATH)
    model = await access.read(lambda tx: queries.logged_model_by_id(tx, project_id, logged_model_id))
    if model.status != "pending":
        raise ModelSealed(model.id, model.status)
    if upload:
        expect = announced(request)
        return await access.write(lambda tx: _from_upload(tx, access, logged_model_id, where, upload, expect))
    stored = await blobs_of(request).put(
        request.stream(),
        expect=announced(request),
        max_bytes=max_file_bytes(request),
    )
    entry = FileEntry(where, stored.digest, stored.size)
    await access.write(lambda tx: actions.add_file(tx, project_id, logged_model_id, entry))
    return ModelFileView(entry.path, entry.digest, entry.size)


def _from_upload(
    tx: Tx, access: Access[None], logged_model_id: str, path: str, upload_id: str, expect: Digest | None
) -> ModelFileView:
    """Repeating it after a lost answer is harmless where the digest is announced."""
    project_id = access.project.id
    try:
        digest, size = uploads.completed_upload(tx, access.actor, project_id, upload_id)
    except UnknownUpload:
        standing = queries.file_of(tx, project_id, logged_model_id, path)
        if standing is None or standing.digest != expect:
            raise
        return ModelFileView(standing.path, standing.digest, standing.size)
    entry = actions.add_file(tx, project_id, logged_model_id, FileEntry(path, digest, size))
    uploads.drop_upload(tx, access.actor, project_id, upload_id)
    return ModelFileView(entry.path, entry.digest, entry.size)


@get(BASE + "/{logged_model_id:str}/files/{path:path}", permission=Permission.MODEL_READ, opt=UNCOMPRESSED)
async def read_file(
    request: Request[Any, Any, Any], access: AccessTo[None], logged_model_id: FromPath[str], path: FromPath[str]
) -> Response[Any]:
    """One file as an attachment; takes Range and If-None-Match."""
    where = path_after(request, _SEGMENTS_BEFORE_PATH)
    entry = await access.read(lambda tx: queries.file_of(tx, access.project.id, logged_model_id, where))
    if entry is None:
        raise UnknownModelFile(logged_model_id, where)
    return await download(request, entry)


@post(BASE + "/{logged_model_id:str}/finalize", permission=Permission.MODEL_WRITE, status_code=200)
async def finalize_logged_model(
    request: Request[Any, Any, Any],
    access: AccessTo[None],
    logged_model_id: FromPath[str],
    data: JSONBody[FinalizeLoggedModel],
) -> LoggedModelView:
    """Checks every file, reads `tilth.json` and seals the manifest; with status `failed` gives the upload up instead."""
    project_id = access.project.id
    if data.status == "failed":
        await access.write(lambda tx: actions.give_up(tx, access.actor, project_id, logged_model_id, data.message))
    else:
        await finalize(access, blobs_of(request), logged_model_id, data.manifest_digest)
    return await access.read(lambda tx: queries.logged_model_view(tx, project_id, logged_model_id))


@put(BASE + "/{logged_model_id:str}/tags", permission=Permission.MODEL_WRITE)
async def tag(access: AccessTo[None], logged_model_id: FromPath[str], data: JSONBody[TagLoggedModel]) -> LoggedModelView:
    """Sets the named tags and leaves the others."""
    project_id = access.project.id

    def write(tx: Tx) -> LoggedModelView:
        actions.tag_logged_model(tx, access.actor, project_id, logged_model_id, data.tags)
        return queries.logged_model_view(tx, project_id, logged_model_id)

    return await access.write(write)


@delete(BASE + "/{logged_model_id:str}", permission=Permission.MODEL_DELETE)
async def remove(access: AccessTo[None], logged_model_id: FromPath[str]) -> None:
    """Lets go of its bytes for good; refused while a version points to it."""
    await access.write(lambda tx: actions.delete_logged_model(tx, access.actor, access.project.id, logged_model_id))


routes = [create, list_logged_models, read, upload, read_file, finalize_logged_model, tag, remove]
