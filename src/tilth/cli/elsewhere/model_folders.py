"""A model's folder by its address: on this machine, or fetched from an object store with what the environment says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tilth.core.errors import Invalid, NotFound, Unavailable
from tilth.core.names import check_artifact_path
from tilth.wire.models import DOCUMENT_NAME


class ModelNotThere(NotFound):
    """No model stands where it should."""


class StoreNotReached(Unavailable):
    """The object store did not give the files."""


def model_folder(place: str) -> Path:
    """place: a folder, or `s3://`, `gs://`, `az://` or `file://`. The folder holds `tilth.json`, itself or in its only folder.

    Raises ModelNotThere, StoreNotReached.
    """
    folder = _fetched(place) if "://" in place else Path(place)
    for candidate in (folder, folder / "model"):
        if (candidate / DOCUMENT_NAME).is_file():
            return candidate.resolve()
    what = "is not there" if not folder.exists() else f"holds no {DOCUMENT_NAME}"
    raise ModelNotThere(f"{place} {what}; give the folder that tilth.log_model made, such as the `model` of `tilth image`")


def _fetched(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(parts.path)
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise Invalid(f"{parts.scheme}:// needs obstore, which is not installed here; install the extra `s3`") from error
    folder = Path(tempfile.mkdtemp(prefix="tilth-model-"))
    try:
        store = from_url(url)
        for page in obstore.list(store):
            for item in page:
                target = folder / check_artifact_path(item["path"])
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    for piece in obstore.get(store, item["path"]).stream():
                        out.write(piece)
    except (BaseError, OSError, ValueError) as error:
        raise StoreNotReached(f"{url} cannot be read: {str(error)[:300]}") from error
    return folder
