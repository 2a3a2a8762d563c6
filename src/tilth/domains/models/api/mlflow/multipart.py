"""Large files in parts, and files that a store would hand out by itself, as MLflow's clients ask for them.

A part goes to an address of ours with a ticket for that part alone, so it works on every store and no token stands in an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from litestar import Request
from litestar.response.base import ASGIResponse

from tilth.backends.sql import Tx
from tilth.core.clock import HOUR, Millis, now
from tilth.core.names import InvalidName, check_artifact_path
from tilth.domains.models.api.mlflow.artifacts import (
    SERVICE,
    about_place,
    check_open,
    place_in_address,
    put_file,
    readable,
)
from tilth.domains.models.api.mlflow.views import SCHEME
from tilth.domains.models.rules.places import Place
from tilth.domains.tracking.actions import uploads
from tilth.domains.tracking.types import UnknownUpload
from tilth.guard import AccessTo, Permission, json_answer, mlflow_route
from tilth.guard.files import announced, blobs_of, max_file_bytes, signed_download_s, type_of_name
from tilth.guard.tickets import SIGNER, TICKET_HEADER, TICKETS_FOR, issue, place_of
from tilth.wire.mlflow import MlflowError, Nothing, invalid, missing
from tilth.wire.mlflow_registry import (
    AbortMultipart,
    CompleteMultipart,
    CreateMultipart,
    Multipart,
    PartAddress,
    PresignedDownload,
    PresignedUpload,
    SignedDownload,
)
from tilth.wire.uploads import MAX_PARTS, OpenUpload

MAX_EXPIRATION_S = 604_800
PART = "part {number} of upload {upload_id}"
"""What a ticket is for."""
TICKET_FOR = Millis(3 * HOUR)
"""They are all made before the first part goes: the largest file (10 GB) takes so long at 1 MB/s. They end with the upload, too."""

Asked = Request[Any, Any, Any]


@mlflow_route("POST", "/mpu/create/{path:path}", service=SERVICE, permission=Permission.RUN_WRITE)
async def create_multipart(access: AccessTo[None], request: Asked, wanted: CreateMultipart) -> Multipart:
    """One address for each part. Nothing is kept of an upload that is never completed."""
    where, parts = _target(request, wanted.path, b"/mpu/create"), wanted.num_parts or 1
    if not 1 <= parts <= MAX_PARTS:
        raise invalid(f"Invalid value {parts} for parameter 'num_parts' supplied: give 1 to {MAX_PARTS}")
    await check_open(access, where)
    most = max_file_bytes(request)
    opened = await access.write(lambda tx: uploads.open_upload(tx, access.actor, access.project.id, OpenUpload(), max_bytes=most))
    address, expires = _part_address(request, opened.id), Millis(now() + TICKET_FOR)

    def part(number: int) -> PartAddress:
        place = place_of(PART, {"upload_id": opened.id, "number": number})
        ticket = issue(request.app.state[SIGNER], access.actor, access.project, place, expires=expires)
        return PartAddress(f"{address}/{number}", number, {TICKET_HEADER: ticket})

    return Multipart(opened.id, [part(number) for number in range(1, parts + 1)])


@mlflow_route(
    "PUT",
    "/mpu/parts/{upload_id:str}/{number:int}",
    service=SERVICE,
    permission=Permission.RUN_WRITE,
    raw=True,
    request_max_body_size=None,
    opt={TICKETS_FOR: PART},
)
async def put_part(access: AccessTo[None], request: Asked) -> ASGIResponse:
    """The raw bytes of one part, from who opened the upload or with the ticket that he got for it."""
    project, upload_id, number = access.project.id, request.path_params["upload_id"], request.path_params["number"]
    most = max_file_bytes(request)
    await access.read(lambda tx: uploads.check_part(tx, access.actor, project, upload_id, number))
    stored = await blobs_of(request).put(request.stream(), expect=announced(request), max_bytes=min(most, uploads.MAX_PART_BYTES))
    part = await access.write(lambda tx: uploads.add_part(tx, access.actor, project, upload_id, number, stored, max_bytes=most))
    answer = json_answer(Nothing())
    answer.headers["etag"] = f'"{part.digest}"'
    return answer


@mlflow_route("POST", "/mpu/complete/{path:path}", service=SERVICE, permission=Permission.RUN_WRITE)
async def complete_multipart(access: AccessTo[None], request: Asked, wanted: CompleteMultipart) -> Nothing:
    """Joins the parts into the file that the address names."""
    project, where = access.project.id, _target(request, wanted.path, b"/mpu/complete")
    upload_id = wanted.upload_id or ""
    if not upload_id:
        raise missing("upload_id")
    numbers = [part.part_number or 0 for part in wanted.parts or []]
    await check_open(access, where)
    _, parts = await access.read(lambda tx: uploads.parts_to_join(tx, access.actor, project, upload_id, numbers))
    for sent, kept in zip(wanted.parts or [], parts, strict=True):
        if sent.etag and sent.etag.strip('"') != kept.digest:
            raise invalid(f"part {kept.number} has another content than its etag says; send it again")
    stored = await uploads.join_parts(blobs_of(request), parts, expect=None, max_bytes=max_file_bytes(request))
    kind = type_of_name(where.path)

    def write(tx: Tx) -> None:
        put_file(tx, access, where, stored.digest, stored.size, kind)
        uploads.drop_upload(tx, access.actor, project, upload_id)

    with about_place(where):
        await access.write(write)
    return Nothing()


@mlflow_route("POST", "/mpu/abort/{path:path}", service=SERVICE, permission=Permission.RUN_WRITE)
async def abort_multipart(access: AccessTo[None], wanted: AbortMultipart) -> Nothing:
    """Lets go of what arrived. Aborting what is gone is harmless."""

    def write(tx: Tx) -> None:
        try:
            uploads.drop_upload(tx, access.actor, access.project.id, wanted.upload_id or "")
        except UnknownUpload:
            return

    await access.write(write)
    return Nothing()


@mlflow_route("GET", "/presigned/{path:path}", service=SERVICE, permission=Permission.RUN_READ, raw=True)
async def presigned(access: AccessTo[None], request: Asked) -> ASGIResponse:
    """Where the store itself hands out the file. Else refused, in the words after which MLflow's client reads through Tilth."""
    where, seconds = place_in_address(request, before=b"/mlflow-artifacts/presigned"), signed_download_s(request)
    if seconds:
        entry, _ = await readable(access, where)
        address = await blobs_of(request).signed_address(entry.digest, seconds=seconds)
        if address is not None:
            return json_answer(SignedDownload(address, file_size=entry.size))
    raise MlflowError("NOT_IMPLEMENTED", "Multipart download is not supported for the current artifact repository")


@mlflow_route("POST", "/artifacts/presigned-upload-url", permission=Permission.RUN_WRITE)
async def presigned_upload(access: AccessTo[None], wanted: PresignedUpload) -> Nothing:
    if bool(wanted.run_id) == bool(wanted.model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    _check_relative(wanted.path)
    raise _proxied("upload", "This endpoint requires a direct cloud storage artifact URI.", "")


@mlflow_route("POST", "/artifacts/presigned-download-url", permission=Permission.RUN_READ)
async def presigned_download(access: AccessTo[None], wanted: PresignedDownload) -> Nothing:
    _check_relative(wanted.path)
    if wanted.expiration is not None and not 1 <= wanted.expiration <= MAX_EXPIRATION_S:
        raise invalid(f"expiration must be between 1 and {MAX_EXPIRATION_S} seconds (got {wanted.expiration}).")
    raise _proxied("download", "This endpoint requires a run with a direct cloud storage artifact URI.", "runs with ")


def _proxied(what: str, needs: str, whose: str) -> MlflowError:
    return invalid(
        f"Presigned {what} is not supported for {whose}proxied artifact storage (artifact URI scheme: {SCHEME[:-1]}). {needs}"
    )


def _check_relative(path: str) -> None:
    try:
        check_artifact_path(path)
    except InvalidName as bad:
        raise invalid(f"Invalid path: {bad}") from None


def _target(request: Asked, local_path: str, call: bytes) -> Place:
    """The folder of the address and the name of the client's own file."""
    folder = place_in_address(request, before=b"/mlflow-artifacts" + call)
    name = local_path.replace("\\", "/").rpartition("/")[2]
    try:
        path = check_artifact_path(f"{folder.path}/{name}" if folder.path else name)
    except InvalidName as bad:
        raise invalid(f"Invalid path: {bad}") from None
    return replace(folder, path=path)


def _part_address(request: Asked, upload_id: str) -> str:
    """Beside the address that was asked, so that host and prefix are those by which the client reaches us."""
    parts = urlsplit(str(request.url))
    prefix = parts.path.partition("/mlflow-artifacts/")[0]
    return urlunsplit((parts.scheme, parts.netloc, f"{prefix}/mlflow-artifacts/mpu/parts/{upload_id}", "", ""))


routes = [
    create_multipart,
    put_part,
    complete_multipart,
    abort_multipart,
    presigned,
    presigned_upload,
    presigned_download,
]
