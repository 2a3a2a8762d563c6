"""From a foreign model to a folder that the model server can run: opened, asked its example, saved by the flavour that knows it.

For a format that may run code this is called in a process of its own alone (see child).
"""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tilth import flavours
from tilth.core.errors import TilthError
from tilth.flavours.keras import read_keras, read_program
from tilth.flavours.optional import imported
from tilth.sdk.importing.examples import made_up
from tilth.sdk.importing.types import Found, NotImportable
from tilth.wire.models import DOCUMENT_NAME, ModelDocument

CLASSIFYING = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy")
"""Losses of CatBoost whose models give probabilities."""


def prepare(found: Found, folder: Path, example: Any, *, categories: Mapping[str, Sequence[str]] | None = None) -> ModelDocument:
    """Writes the model into the empty `folder`. example None: made of what the model says about itself.

    Raises NotImportable, UnusableExample, UnknownFlavour, EngineUnusable.
    """
    if found.format == "tilth":
        return _as_it_is(found, folder)
    model = _opened(found)
    given = example if example is not None else made_up(model)
    return flavours.save_model(model, folder, example=given, categories=categories)


def keep(found: Found, folder: Path) -> None:
    """Writes the files as they are, under `source`, and the least that makes the folder a model: it cannot be loaded."""
    refuse_links(found.path)
    place = folder / "source" / found.path.name
    place.parent.mkdir(parents=True)
    if found.path.is_dir():
        shutil.copytree(found.path, place)
    else:
        shutil.copyfile(found.path, place)
    described = {"flavors": {"tilth_import": {"format": found.format, "path": f"source/{found.path.name}"}}}
    (folder / "MLmodel").write_bytes(msgspec.yaml.encode(described))


def copied_document(found: Found, folder: Path) -> ModelDocument:
    """The folder of another Tilth as it is, without running anything of it. Its compiled forms stay behind: nobody here compared them."""
    refuse_links(found.path)
    shutil.copytree(found.path, folder, ignore=shutil.ignore_patterns("compiled"))
    try:
        document = msgspec.json.decode((folder / DOCUMENT_NAME).read_bytes(), type=ModelDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotImportable(f"{DOCUMENT_NAME} of {found.path.name} does not read: {error}") from error
    left = "its compiled form stayed behind at the import" if document.compiled else document.not_compiled
    document = msgspec.structs.replace(document, compiled=(), not_compiled=left)
    write_document(folder, document)
    return document


def write_document(folder: Path, document: ModelDocument) -> None:
    (folder / DOCUMENT_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(document)))


def refuse_links(path: Path) -> None:
    """Raises NotImportable: what a link names is not part of the model."""
    links = [path] if path.is_symlink() else [entry for entry in path.rglob("*") if entry.is_symlink()] if path.is_dir() else []
    if links:
        raise NotImportable(f"{links[0].name} is a link; copy the folder with `cp -rL` first, and import the copy")


def _as_it_is(found: Found, folder: Path) -> ModelDocument:
    document = copied_document(found, folder)
    flavours.load_predictor(folder, document)
    return document


def _opened(found: Found) -> Any:
    path = found.path
    try:
        match found.format:
            case "onnx":
                return path
            case "xgboost":
                return imported("xgboost", "xgboost").Booster(model_file=str(path))
            case "lightgbm":
                return imported("lightgbm", "lightgbm").Booster(model_file=str(path))
            case "catboost":
                return _catboost(path)
            case "keras":
                return read_keras(path)
            case "saved-model":
                return read_program(path)
            case "torch-export":
                return imported("torch", "torch").export.load(str(path))
            case "torchscript":
                return imported("torch", "torch").jit.load(str(path), map_location="cpu")
            case "torch-pickle":
                return imported("torch", "torch").load(str(path), map_location="cpu", weights_only=False)
            case "joblib":
                return imported("joblib", "joblib").load(path)
            case "pickle":
                with path.open("rb") as stream:
                    return pickle.load(stream)
            case other:
                raise NotImportable(f"a {other} is kept, and cannot be asked")
    except TilthError:
        raise
    except ImportError as error:
        raise NotImportable(
            f"{path.name} needs {error.name or error}, which is not installed here: pip install it first"
        ) from error
    except Exception as error:  # frameworks, and what is pickled, raise anything
        reason = " ".join(str(error).split())[:200]
        if gone := re.match("Can't get attribute '([^']+)'", reason):
            raise NotImportable(
                f"{path.name} holds a {gone[1]} that the program defined which wrote it, and nothing here has that class: "
                "put it into an installed package, or write the model as a program, such as by torch.export, TorchScript or ONNX"
            ) from error
        raise NotImportable(f"{path.name} cannot be read as {found.format}: {type(error).__name__}: {reason}") from error


def _catboost(path: Path) -> Any:
    """A classifier where its loss is one: the plain class would give scores instead of probabilities."""
    catboost = imported("catboost", "catboost")
    plain = catboost.CatBoost().load_model(str(path))
    loss = str(plain.get_all_params().get("loss_function", ""))
    kind = catboost.CatBoostClassifier if loss.partition(":")[0] in CLASSIFYING else catboost.CatBoostRegressor
    return kind().load_model(str(path))
