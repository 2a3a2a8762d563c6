"""Artifacts of runs over HTTP: bytes stream in and out with flat memory, whatever their size."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.params import FromPath, FromQuery

from tilth.backends.sql import Tx
from tilth.core.hashing import FileEntry
from tilth.core.ids import Digest, ProjectId
from tilth.core.names import InvalidName, check_artifact_path, path_of_segments
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.actions import uploads
from tilth.domains.tracking.types import UnknownArtifact, UnknownRun, UnknownUpload
from tilth.guard import Access, AccessTo, Permission, delete, get, put
from tilth.guard.files import UNCOMPRESSED, announced, blobs_of, download, max_file_bytes, sent_type
from tilth.wire.tracking import ArtifactEntry, ArtifactList

FOLDER = "/api/v1/p/{project:str}/runs/{run_id:str}/artifacts"
ONE = FOLDER + "/{path:path}"

_SEGMENTS_BEFORE = 8
"""The empty one before the first slash, api, v1, p, <project>, runs, <run>, artifacts."""

Asked = Request[Any, Any, Any]


@put(ONE, permission=Permission.RUN_WRITE, request_max_body_size=None, status_code=200)
async def put_artifact(
    access: AccessTo[None], request: Asked, run_id: FromPath[str], path: FromPath[str], upload: FromQuery[str] = ""
) -> ArtifactEntry:
    """Header X-Tilth-Sha256: the digest that the bytes must have. An artifact of the same path is replaced.

    upload: a completed upload in parts, which becomes the artifact; the body is empty then.
    """
    project, name = access.project.id, artifact_path(request)
    expect = announced(request)
    if upload:
        kind = sent_type(request, name)
        return await access.write(lambda tx: _from_upload(tx, access, run_id, name, upload, expect, kind))
    # Asked before the bytes are taken in, so that nobody uploads gigabytes to a deleted run; and again when the row is written.
    await access.read(lambda tx: actions.check_writable(tx, project, run_id, name))
    stored = await blobs_of(request).put(request.stream(), expect=expect, max_bytes=max_file_bytes(request))
    kind = sent_type(request, name)
    return await access.write(
        lambda tx: actions.add_artifact(tx, project, run_id, name, digest=stored.digest, size=stored.size, content_type=kind)
    )


@get(FOLDER, permission=Permission.RUN_READ)
async def list_artifacts(
    access: AccessTo[None], run_id: FromPath[str], path: FromQuery[str] = "", recursive: FromQuery[bool] = False
) -> ArtifactList:
    """What lies in the folder `path` (the root if left out); with `recursive` every file below it."""
    project = access.project.id
    if path:
        check_artifact_path(path)

    def entries(tx: Tx) -> ArtifactList:
        if queries.run_info(tx, project, run_id) is None:
            raise UnknownRun(run_id)
        return ArtifactList(queries.artifacts_of(tx, project, run_id, folder=path, recursive=recursive))

    return await access.read(entries)


@get(ONE, permission=Permission.RUN_READ, opt=UNCOMPRESSED)
async def get_artifact(access: AccessTo[None], request: Asked, run_id: FromPath[str], path: FromPath[str]) -> Response[Any]:
    """The bytes. Knows Range (one range), If-None-Match and ETag, which is the SHA-256 of the bytes."""
    project, name = access.project.id, artifact_path(request)
    entry = await access.read(lambda tx: _entry(tx, project, run_id, name))
    return await download(request, FileEntry(entry.path, Digest(entry.digest or ""), entry.size or 0), entry.content_type)


@delete(ONE, permission=Permission.RUN_DELETE)
async def delete_artifact(access: AccessTo[None], request: Asked, run_id: FromPath[str], path: FromPath[str]) -> None:
    project, name = access.project.id, artifact_path(request)
    await access.write(lambda tx: actions.delete_artifact(tx, access.actor, project, run_id, name))


def artifact_path(request: Asked) -> str:
    """The path after `/artifacts/`, from the raw address. Raises InvalidName."""
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    parts = raw.split(b"?", 1)[0].split(b"/")
    if parts[_SEGMENTS_BEFORE - 1 : _SEGMENTS_BEFORE] != [b"artifacts"]:
        raise InvalidName("write this address plainly, with single '/' and without percent-encoding before the artifact path")
    return path_of_segments(parts[_SEGMENTS_BEFORE:])


def _entry(tx: Tx, project: ProjectId, run_id: str, path: str) -> ArtifactEntry:
    found = queries.artifact_entry(tx, project, run_id, path)
    if found is None:
        if queries.run_info(tx, project, run_id) is None:
            raise UnknownRun(run_id)
        raise UnknownArtifact(path, run_id)
    return found


def _from_upload(
    tx: Tx, access: Access[None], run_id: str, name: str, upload_id: str, expect: Digest | None, kind: str
) -> ArtifactEntry:
    """Repeating it after a lost answer is harmless where the digest is announced: the artifact is there, the upload is gone."""
    project = access.project.id
    try:
        digest, size = uploads.completed_upload(tx, access.actor, project, upload_id)
    except UnknownUpload:
        standing = queries.artifact_entry(tx, project, run_id, name)
        if standing is None or standing.digest != expect:
            raise
        return standing
    entry = actions.add_artifact(tx, project, run_id, name, digest=digest, size=size, content_type=kind)
    uploads.drop_upload(tx, access.actor, project, upload_id)
    return entry


routes = [put_artifact, list_artifacts, get_artifact, delete_artifact]
