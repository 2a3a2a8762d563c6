"""Finalising a logged model: its text files are read and every file is looked up before one short transaction seals it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tilth.backends.sql import Tx
from tilth.core.hashing import FileEntry, Manifest
from tilth.core.ports import BlobMissing, Blobs
from tilth.domains.models import actions, queries
from tilth.domains.models.queries import LoggedModel
from tilth.domains.models.rules.folder import MAX_DOCUMENT_BYTES, MLMODEL_NAME, check_folder, manifest_of
from tilth.domains.models.types import IncompleteModel, ModelDamaged, ModelSealed
from tilth.guard import Access
from tilth.wire.models import DOCUMENT_NAME, ModelDocument

LOOK_UPS_AT_ONCE = 16
MLFLOW = "mlflow"
"""The flavour of a folder that only MLflow wrote."""


async def finalize(access: Access[Any], blobs: Blobs, logged_model_id: str, expected_digest: str | None) -> LoggedModel:
    """Seals the model, or says what is wrong with its files. Repeating it is harmless.

    Raises UnknownLoggedModel, ModelSealed, IncompleteModel, ManifestDiffers, ModelDamaged.
    """
    project_id = access.project.id

    def look(tx: Tx) -> tuple[LoggedModel, list[FileEntry]]:
        model = queries.logged_model_by_id(tx, project_id, logged_model_id)
        return model, queries.files_of(tx, project_id, logged_model_id)

    model, files = await access.read(look)
    if model.status == "failed":
        raise ModelSealed(model.id, model.status)
    manifest = manifest_of(files, expected_digest)
    if model.manifest_digest is not None:
        return model
    document = await document_of(blobs, files)
    # What was imported and cannot be asked is told by its format.
    kept_as = model.model_type if model.barred is not None and model.model_type else MLFLOW
    flavour = document.flavour if document is not None else kept_as
    return await access.write(lambda tx: actions.seal(tx, access.actor, project_id, logged_model_id, manifest, document, flavour))


async def settle(access: Access[Any], blobs: Blobs, logged_model_id: str) -> LoggedModel:
    """Seals what there is, be it nothing, as MLflow's clients may: only what reads as a model gets a document and can be served.

    Raises UnknownLoggedModel, ModelSealed, ModelDamaged.
    """
    project_id = access.project.id

    def look(tx: Tx) -> tuple[LoggedModel, list[FileEntry]]:
        return queries.logged_model_by_id(tx, project_id, logged_model_id), queries.files_of(tx, project_id, logged_model_id)

    model, files = await access.read(look)
    if model.manifest_digest is not None:
        return model
    document = await document_or_none(blobs, files)
    flavour = document.flavour if document is not None else MLFLOW

    def write(tx: Tx) -> LoggedModel:
        if model.status == "failed":
            actions.mark(tx, access.actor, project_id, logged_model_id, "pending")
        return actions.seal(tx, access.actor, project_id, logged_model_id, Manifest.of(files), document, flavour)

    return await access.write(write)


async def document_or_none(blobs: Blobs, files: Sequence[FileEntry]) -> ModelDocument | None:
    """As document_of, None also for a folder that is no model."""
    try:
        return await document_of(blobs, files)
    except IncompleteModel:
        return None


async def document_of(blobs: Blobs, files: Sequence[FileEntry]) -> ModelDocument | None:
    """The document of a stored folder, None for one that only MLflow wrote. Raises IncompleteModel, ModelDamaged."""
    await _check_stored(blobs, files)
    by_path = {entry.path: entry for entry in files}
    mlmodel = await _content(blobs, by_path.get(MLMODEL_NAME))
    document_bytes = await _content(blobs, by_path.get(DOCUMENT_NAME))
    # Reading a large YAML takes long enough to be noticed by other requests.
    return await asyncio.to_thread(check_folder, set(by_path), mlmodel, document_bytes)


async def _check_stored(blobs: Blobs, files: Sequence[FileEntry]) -> None:
    gate = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    async def check(entry: FileEntry) -> None:
        async with gate:
            try:
                stored = await blobs.stat(entry.digest)
            except BlobMissing as missing:
                raise ModelDamaged(f"the bytes of {entry.path!r} are gone from the store; upload the file again") from missing
            if stored.size != entry.size:
                raise ModelDamaged(f"{entry.path!r} has {stored.size} bytes in the store, not {entry.size}; upload it again")

    await asyncio.gather(*(check(entry) for entry in files))


async def _content(blobs: Blobs, entry: FileEntry | None) -> bytes | None:
    if entry is None:
        return None
    if entry.size > MAX_DOCUMENT_BYTES:
        raise IncompleteModel(
            f"{entry.path!r} has {entry.size} bytes; at most {MAX_DOCUMENT_BYTES} are read: keep the signature small"
        )
    return b"".join([piece async for piece in blobs.open(entry.digest)])
