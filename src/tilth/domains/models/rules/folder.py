"""Whether an uploaded folder is a model, judged from its small text files alone: nothing is ever unpickled here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from tilth.core.hashing import FileEntry, Manifest
from tilth.domains.models.types import IncompleteModel, ManifestDiffers
from tilth.wire.models import DOCUMENT_NAME, ModelDocument

MLMODEL_NAME = "MLmodel"
MAX_DOCUMENT_BYTES = 4_000_000
MAX_MLMODEL_BYTES = 500_000
"""Some 5 s of parsing: the parser in C is faster, but lists nested deeply enough end its process, which would be the control process."""


def manifest_of(files: Iterable[FileEntry], expected_digest: str | None) -> Manifest:
    """The manifest that gets sealed. Raises IncompleteModel for no files, ManifestDiffers when the sender expected another."""
    manifest = Manifest.of(files)
    if not manifest.files:
        raise IncompleteModel("this logged model has no files yet; upload its folder before finalising it")
    if expected_digest is not None and expected_digest != manifest.digest:
        raise ManifestDiffers(
            f"the uploaded files have the manifest {manifest.digest[:12]}…, but {expected_digest[:12]}… was announced; "
            f"{len(manifest.files)} files arrived: upload what is missing and finalise again"
        )
    return manifest


def check_folder(paths: set[str], mlmodel: bytes | None, document: bytes | None) -> ModelDocument | None:
    """The model's document, None for a folder that only MLflow wrote. Raises IncompleteModel.

    paths: every file of the folder; mlmodel, document: contents of `MLmodel` and `tilth.json`, None where the folder lacks them.
    """
    if mlmodel is None:
        raise IncompleteModel("the folder has no file MLmodel; save the model with tilth.log_model or mlflow's save_model")
    _check_mlmodel(mlmodel)
    if document is None:
        return None
    read = _read_document(document)
    for path in (read.model_path, *(engine.path for engine in read.compiled)):
        if path not in paths and not any(other.startswith(path + "/") for other in paths):
            raise IncompleteModel(
                f"{DOCUMENT_NAME} names the file {path!r}, but it was not uploaded; upload it and finalise again"
            )
    return read


def _check_mlmodel(content: bytes) -> None:
    if len(content) > MAX_MLMODEL_BYTES:
        raise IncompleteModel(
            f"the file MLmodel has {len(content):,} bytes; at most {MAX_MLMODEL_BYTES:,} are read: keep its metadata small"
        )
    try:
        # Only maps, lists and texts: merge keys (`<<`) would let a few lines grow into millions of entries, and numbers or dates that
        # no Python type holds would raise what is no YAMLError.
        read: Any = yaml.load(content, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise IncompleteModel(f"the file MLmodel is not YAML ({str(error)[:120]}); save the model again") from error
    if not isinstance(read, dict) or not isinstance(read.get("flavors"), dict):
        raise IncompleteModel("the file MLmodel names no flavors; save the model with tilth.log_model or mlflow's save_model")


def _read_document(content: bytes) -> ModelDocument:
    try:
        return msgspec.json.decode(content, type=ModelDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IncompleteModel(f"{DOCUMENT_NAME} does not read as a model document: {error}; log the model again") from error


def unservable(status: str, document: ModelDocument | None, barred: str | None) -> str:
    """Why the model server cannot serve this logged model; empty when it can. barred: what rules.provenance says."""
    if status != "ready":
        return f"its logged model is {status}"
    if barred is not None:
        return barred
    if document is None:
        return f"it was logged without {DOCUMENT_NAME} (by mlflow alone); log it with tilth.log_model to serve it"
    return ""
