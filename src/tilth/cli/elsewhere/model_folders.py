"""A model's folder by its address: on this machine, or fetched from an object store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tilth.core.errors import NotFound
from tilth.core.names import check_artifact_path
from tilth.sdk.batch.places import is_remote, open_place
from tilth.wire.models import DOCUMENT_NAME


class ModelNotThere(NotFound):
    """No model stands where it should."""


def model_folder(address: str) -> Path:
    """address: a path, `file:///path`, or `s3://`, `gs://`, `az://` (see open_place). The folder holds `tilth.json`, itself or in
    its folder `model`.

    Raises ModelNotThere, InvalidPlace, StoreTrouble, StoreRefused.
    """
    folder = _fetched(address) if is_remote(address) else Path(address.removeprefix("file://"))
    for candidate in (folder, folder / "model"):
        if (candidate / DOCUMENT_NAME).is_file():
            return candidate.resolve()
    what = f"holds no {DOCUMENT_NAME}" if is_remote(address) or folder.exists() else "is not there"
    raise ModelNotThere(f"{address} {what}; give the folder that tilth.log_model made, such as the `model` of `tilth image`")


def _fetched(address: str) -> Path:
    place = open_place(address)
    folder = Path(tempfile.mkdtemp(prefix="tilth-model-"))
    for found in place.files():
        target = folder / check_artifact_path(found.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            for piece in place.pieces(found.name):
                out.write(piece)
    return folder
