"""Finalising a logged model: its text files are read and every file is looked up before one short transaction seals it."""

from __future__ import annotations

import asyncio
from typing import Any

from tilth.backends.sql import Tx
from tilth.core.hashing import FileEntry
from tilth.core.ports import BlobMissing, Blobs
from tilth.domains.models import actions, queries
from tilth.domains.models.queries import LoggedModel
from tilth.domains.models.rules.folder import MAX_DOCUMENT_BYTES, MLMODEL_NAME, check_folder, manifest_of
from tilth.domains.models.types import IncompleteModel, ModelDamaged, ModelSealed
from tilth.guard import Access
from tilth.wire.models import DOCUMENT_NAME

LOOK_UPS_AT_ONCE = 16


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
    if model.status == "ready":
        return model
    await _check_stored(blobs, files)
    by_path = {entry.path: entry for entry in files}
    mlmodel = await _content(blobs, by_path.get(MLMODEL_NAME))
    document_bytes = await _content(blobs, by_path.get(DOCUMENT_NAME))
    # Reading a large YAML takes long enough to be noticed by other requests.
    document = await asyncio.to_thread(check_folder, set(by_path), mlmodel, document_bytes)
    flavour = document.flavour if document is not None else "mlflow"
    return await access.write(lambda tx: actions.seal(tx, access.actor, project_id, logged_model_id, manifest, document, flavour))


async def _check_stored(blobs: Blobs, files: list[FileEntry]) -> None:
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
