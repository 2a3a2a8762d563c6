"""Routes of the shipper: it asks what a frame means, brings files of predictions and joins small ones. The workers' credential only."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from tilth.backends.sealing import Sealer
from tilth.backends.sql import Tx
from tilth.core.clock import iso, now
from tilth.core.hashing import is_digest
from tilth.core.ids import Digest
from tilth.core.ports import BlobMissing, Blobs, NotADigest
from tilth.domains.models.queries import ModelVersion
from tilth.domains.serving.actions import labels
from tilth.domains.serving.actions import predictions as actions
from tilth.domains.serving.queries import predictions as queries
from tilth.domains.serving.rules.prediction_files import TARGET_ROWS, to_join
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import FileNotUploaded, PredictionFile, UnknownPredictionFile, UnknownShippedVersion
from tilth.guard import AccessTo, Permission, get, post, put
from tilth.guard.files import UNCOMPRESSED, blobs_of
from tilth.wire.shipping import (
    Compacted,
    Compaction,
    LogPolicy,
    Shipment,
    ShipmentAnswer,
    ShippedScores,
    ShippedVersion,
    StoredFile,
)

BASE = "/api/v1/plane/predictions"
MAX_FILE_BYTES = 512 << 20
SEALER = "tilth_sealer"

Asked = Request[Any, Any, Any]


@get("/api/v1/plane/deployments/{deployment_id:str}/versions", permission=Permission.PLANE_SHIP)
async def read_shipped_version(
    request: Asked, access: AccessTo[None], deployment_id: FromPath[str], key: FromQuery[str]
) -> ShippedVersion:
    """What the frames of `key` (`model/3`) in a deployment are read by, and what of them is kept. 404: nobody will ever know."""

    def read(tx: Tx) -> tuple[Deployment, ModelVersion, bool]:
        found, version = queries.version_across_projects(tx, deployment_id, key)
        return found, version, labels.wants_scores(tx, found, now())

    found, version, scores = await access.read(read)
    if version.logged_model_id is None or version.manifest_digest is None:
        raise UnknownShippedVersion(deployment_id, key)
    sealer: Sealer = request.app.state[SEALER]
    settings = found.settings
    # Hashes of one deployment cannot be looked up in another, nor made by who lacks the key of the home.
    secret = sealer.sign("redaction of predictions", f"deployment {found.id}") if settings.redact else ""
    return ShippedVersion(
        deployment=found.name,
        model=key.rpartition("/")[0],
        version=version.version,
        logged_model_id=version.logged_model_id,
        manifest_digest=version.manifest_digest,
        policy=LogPolicy(settings.redact, secret, settings.log_sample, settings.label_key, scores),
    )


@put(BASE + "/bytes/{digest:str}", permission=Permission.PLANE_SHIP, request_max_body_size=None, status_code=204)
async def put_bytes(request: Asked, access: AccessTo[None], digest: FromPath[str]) -> None:
    """The bytes of one file. They count once a shipment names them; until then they are nobody's, and are collected after a day."""
    if not is_digest(digest):
        raise NotADigest("the address must end with the SHA-256 of the body: 64 lower-case hexadecimal digits")
    await blobs_of(request).put(request.stream(), expect=Digest(digest), max_bytes=MAX_FILE_BYTES)


@post(BASE + "/shipments", permission=Permission.PLANE_SHIP, status_code=200)
async def ship(request: Asked, access: AccessTo[None], data: JSONBody[Shipment]) -> ShipmentAnswer:
    """All of it in one transaction, or nothing where one of its segments was shipped before."""
    for file in data.files:
        await _check_stored(blobs_of(request), file.digest)
    return ShipmentAnswer(tuple(await access.write(lambda tx: actions.ship(tx, data))))


@post(BASE + "/scores", permission=Permission.PLANE_SHIP, status_code=204)
async def keep_scores(access: AccessTo[None], data: JSONBody[ShippedScores]) -> None:
    """What labels are joined to. Sent before the shipment of its segments, and harmless if they are sent again."""
    await access.write(lambda tx: labels.keep_scores(tx, data.deployment_id, data.rows))


@get(BASE + "/compaction", permission=Permission.PLANE_SHIP)
async def next_compaction(access: AccessTo[None]) -> Compaction:
    """Small files that the shipper shall join now; none: nothing to do."""

    def plan(tx: Tx) -> list[PredictionFile]:
        return to_join(queries.small_files_across_projects(tx, TARGET_ROWS), iso(now())[:10])

    files = await access.read(plan)
    if not files:
        return Compaction()
    return Compaction(files[0].deployment_id, files[0].columns, tuple(map(_stored, files)))


@get(BASE + "/files/{file_id:str}", permission=Permission.PLANE_SHIP, opt=UNCOMPRESSED)
async def read_bytes(request: Asked, access: AccessTo[None], file_id: FromPath[str]) -> Response[Any]:
    """The bytes of a file, to be joined with others."""
    found = await access.read(lambda tx: queries.files_by_ids_across_projects(tx, [file_id]))
    if not found:
        raise UnknownPredictionFile(file_id)
    blobs = blobs_of(request)
    # A missing blob is an error answer now, and would be a broken stream later.
    await blobs.stat(Digest(found[0].digest))
    headers = {"content-length": str(found[0].size), "x-content-type-options": "nosniff"}
    return Stream(blobs.open(Digest(found[0].digest)), headers=headers, media_type="application/octet-stream")


@post(BASE + "/compacted", permission=Permission.PLANE_SHIP, status_code=204)
async def replace_files(request: Asked, access: AccessTo[None], data: JSONBody[Compacted]) -> None:
    """One file in the place of several."""
    await _check_stored(blobs_of(request), data.file.digest)
    await access.write(lambda tx: actions.replace_files(tx, data))


async def _check_stored(blobs: Blobs, digest: str) -> None:
    try:
        await blobs.stat(Digest(digest))
    except BlobMissing as missing:
        raise FileNotUploaded(digest) from missing


def _stored(file: PredictionFile) -> StoredFile:
    return StoredFile(file.id, file.day, file.digest, file.size, file.rows, file.first, file.last, file.versions, file.shadow)


routes = [read_shipped_version, put_bytes, ship, keep_scores, next_compaction, read_bytes, replace_files]
