"""Models from a program: saved and registered, named by aliases, loaded again with every byte checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth import flavours
from tilth.core.errors import Damaged, Invalid
from tilth.core.hashing import FileEntry, Manifest
from tilth.core.home import find_home
from tilth.core.ids import Digest
from tilth.core.names import check_artifact_path, check_model_name, check_name
from tilth.flavours import ArrayPredictor, Arrays, Predictor
from tilth.flavours.explaining import explained_rows, load_explainer, reasons_of
from tilth.sdk import model_uploads
from tilth.sdk.connection import Connection, connection
from tilth.sdk.current import current_run, log_json
from tilth.sdk.measuring import UnusableTarget
from tilth.sdk.permuting import measure
from tilth.sdk.references import ModelReference, parse_reference
from tilth.wire.explanations import ExplainedRow
from tilth.wire.models import DOCUMENT_NAME, ModelDocument, PredictMethod
from tilth.wire.registry import (
    LoggedModelView,
    ModelDetail,
    ModelView,
    RegisterVersion,
    SetAlias,
    VersionDetail,
    VersionView,
)
from tilth.wire.signature import Unseen


class ModelDamaged(Damaged):
    """Files that were fetched do not have the digests that the registry sealed."""


class NothingToLoad(Invalid):
    """The model is not complete, or was not saved by Tilth."""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """What `log_model` made. model and version: None if it was not registered. url: its page."""

    id: str
    model: str | None
    version: int | None
    url: str
    document: ModelDocument


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """The checked files of a model, not loaded. name: `model/number`, or the id of a model without a version. seal: digest of the files."""

    id: str
    name: str
    folder: Path
    seal: str
    document: ModelDocument


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was fetched and checked. folder: an MLflow model directory."""

    id: str
    folder: Path
    document: ModelDocument
    predictor: Predictor | ArrayPredictor

    def predict(self, data: Any) -> NDArray[np.float64] | Arrays:
        """data: a DataFrame or array with the columns of training. Returns shape (rows,), or (rows, outputs) for several outputs.

        A model of tensors or free text takes arrays by name, too, and returns its outputs by name.
        """
        encoded = flavours.flavour_named(self.document.flavour).encode(data, self.document.signature)
        if isinstance(self.predictor, ArrayPredictor):
            if isinstance(encoded, np.ndarray):
                raise Damaged(f"model {self.id} takes arrays by name, and its signature says a table: log it again")
            return self.predictor.predict_arrays(encoded)
        if not isinstance(encoded, np.ndarray):
            raise Damaged(f"model {self.id} takes a table, and its signature says arrays by name: log it again")
        return self.predictor.predict(encoded)

    def explain(self, data: Any) -> list[ExplainedRow]:
        """What each input of each row added to its answer. data: as for predict. Raises CannotExplain."""
        encoded = flavours.flavour_named(self.document.flavour).encode(data, self.document.signature)
        if isinstance(self.predictor, ArrayPredictor) or not isinstance(encoded, np.ndarray):
            raise flavours.CannotExplain(self.document.not_explained)
        reasons = reasons_of(load_explainer(self.folder, self.document, self.predictor), encoded)
        return explained_rows(self.document.signature, reasons, self.predictor.predict(encoded).tolist())


def log_model(
    model: Any,
    name: str | None = None,
    example: Any = None,
    *,
    method: PredictMethod | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
    unseen: Mapping[str, Unseen] | None = None,
    check_rows: Any = None,
    artifacts: Mapping[str, str | Path] | None = None,
    explain: Any = None,
    y: Any = None,
    compile: bool = True,
    register: bool | str = True,
    description: str = "",
    tags: Mapping[str, Any] | None = None,
) -> LoggedModel:
    """Saves a fitted model as an MLflow directory with signature, compiles it behind the parity gate, stores and registers it.

    model: a fitted model, a Python function of rows, or a list of functions and the model after them. artifacts: files or folders that
    a function needs, by name: it gets their places as its parameter `artifacts`.
    example: some rows of the training data (a DataFrame or array); names, types and vocabularies of the columns come from it.
    explain, y: rows that the model has not seen and their truth (or the column of it): permutation importance over them is kept with the
    model and as `importance.json` of the run.
    compile: False keeps the framework's own engine alone. register: True registers it under `name`, text under that name, False not at
    all. It belongs to the current run, if there is one.
    Raises UnknownFlavour, UnusableExample, InvalidName, and what the server refuses.
    """
    if example is None:
        raise NothingToLoad("log_model needs example=: a few rows of the training data, such as X.head(5)")
    if artifacts:
        model = flavours.WithFiles(model, {name: Path(place) for name, place in artifacts.items()})
    target = connection()
    called = check_name(name or "model", "model")
    registered = register if isinstance(register, str) else called
    if register is not False:
        check_model_name(registered)
    texts = {key: str(value) for key, value in (tags or {}).items()}
    with tempfile.TemporaryDirectory(prefix="tilth-model-") as temporary:
        folder = Path(temporary) / "model"
        document = flavours.save_model(
            model,
            folder,
            example=example,
            method=method,
            categories=categories,
            unseen=unseen,
            check_rows=check_rows,
            compilers=flavours.COMPILERS if compile else (),
        )
        if explain is not None:
            document = _with_importance(document, folder, explain, y)
        with model_uploads.opened(target, called, document.flavour, texts) as logged_id:
            model_uploads.fill(target, logged_id, folder)
    if register is False:
        return LoggedModel(logged_id, None, None, target.page("models"), document)
    body = RegisterVersion(logged_model_id=logged_id, description=description, tags=texts)
    version = target.http.call("POST", f"{_model(target, registered)}/versions", VersionView, body=body)
    page = target.page("models", registered, "versions", str(version.version))
    return LoggedModel(logged_id, registered, version.version, page, document)


def _with_importance(document: ModelDocument, folder: Path, data: Any, target: Any) -> ModelDocument:
    if target is None:
        raise UnusableTarget("log_model(explain=...) needs y=, too: the truth of these rows, or the name of its column")
    found = measure(document, folder, data, target)
    document = msgspec.structs.replace(document, importance=found)
    (folder / DOCUMENT_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    if current_run() is not None:
        log_json(msgspec.to_builtins(found), "importance.json")
    return document


def set_alias(name: str, alias: str, version: int) -> None:
    """Makes `alias` name this version; deployments that follow the alias move with it. Raises what the server refuses."""
    target = connection()
    path = f"{_model(target, name)}/aliases/{quote(alias, safe='')}"
    target.http.call("PUT", path, ModelView, body=SetAlias(version=version))


def load_model(model: str) -> LoadedModel:
    """`flight-delay@champion`, `flight-delay/3`, `flight-delay` (the newest version) or `m-<id>`, with or without `models:/`.

    Files are kept under their digests in the home and checked each time. Raises UnknownReference, ModelDamaged, NothingToLoad, and
    what the server refuses. A model may run code of its own when it is loaded: load only what you trust.
    """
    found = fetch_model(model)
    if found.document.isolated:
        raise NothingToLoad(
            f"model {model!r} was imported from elsewhere and may run code that came with it: it is not loaded into this process; "
            "deploy it, and tilth.predict asks the process of its own in which it runs"
        )
    return LoadedModel(found.id, found.folder, found.document, flavours.load_predictor(found.folder, found.document))


def fetch_model(model: str) -> FetchedModel:
    """As `load_model`, without loading it: no code of the model runs."""
    target = connection()
    logged, name = _resolved(target, parse_reference(model))
    if logged.status != "ready" or logged.manifest_digest is None:
        raise NothingToLoad(f"model {model!r} is {logged.status}, not ready: its files were not all stored; log it again")
    if logged.document is None and logged.provenance is not None and logged.unservable:
        raise NothingToLoad(f"model {model!r} cannot be asked: {logged.unservable}")
    if logged.document is None:
        raise NothingToLoad(f"model {model!r} was not saved by Tilth; load it as it was saved, such as by mlflow.pyfunc")
    folder = _fetched(target, logged, logged.manifest_digest)
    return FetchedModel(logged.id, name, folder, logged.manifest_digest, logged.document)


def _resolved(target: Connection, reference: ModelReference) -> tuple[LoggedModelView, str]:
    """The logged model and what it is called: `model/number`, or its id."""
    logged_id = reference.logged_model_id
    name = logged_id or ""
    if logged_id is None:
        version = version_of(target, reference)
        if version.logged_model_id is None:
            raise NothingToLoad(f"model {version.model!r} version {version.version} cannot be loaded: {version.unservable}")
        logged_id, name = version.logged_model_id, f"{version.model}/{version.version}"
    return target.http.call("GET", f"{target.api}/logged-models/{quote(logged_id, safe='')}", LoggedModelView), name


def version_of(target: Connection, reference: ModelReference) -> VersionView:
    """What the reference names now: its number, its alias, else the newest. Raises NothingToLoad, and what the server refuses."""
    path = _model(target, reference.model)
    if reference.alias is not None:
        return target.http.call("GET", f"{path}/aliases/{quote(reference.alias, safe='')}", VersionView)
    number = reference.version
    if number is None:
        number = target.http.call("GET", path, ModelDetail).model.newest
    if number is None:
        raise NothingToLoad(f"model {reference.model!r} has no versions yet; log one by tilth.log_model")
    return target.http.call("GET", f"{path}/versions/{number}", VersionDetail).version


def _model(target: Connection, name: str) -> str:
    return f"{target.api}/models/{quote(name, safe='')}"


def _fetched(target: Connection, logged: LoggedModelView, manifest_digest: str) -> Path:
    """The folder of the model in the cache, every file checked; fetched anew if one is missing or damaged."""
    entries = [FileEntry(check_artifact_path(file.path), Digest(file.digest), file.size) for file in logged.files]
    if Manifest.of(entries).digest != manifest_digest:
        raise ModelDamaged(
            f"the file list of model {logged.id} does not match its seal {manifest_digest}; ask whoever runs the server"
        )
    home = target.target.home or find_home(None, os.environ, Path.cwd())
    folder = home / "cache" / "models" / manifest_digest
    if folder.is_dir() and Manifest.of_folder(folder).digest == manifest_digest:
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    arriving = Path(tempfile.mkdtemp(prefix="arriving-", dir=folder.parent))
    try:
        for entry in entries:
            file = arriving / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as stream:
                target.http.download(f"{target.api}/logged-models/{logged.id}/files/{quote(entry.path)}", stream.write)
        if Manifest.of_folder(arriving).digest != manifest_digest:
            raise ModelDamaged(f"the files of model {logged.id} arrived damaged: they do not match the seal {manifest_digest}")
        shutil.rmtree(folder, ignore_errors=True)
        arriving.rename(folder)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
    return folder
