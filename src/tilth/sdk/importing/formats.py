"""What kind of model a file or folder is, told by its contents first and its name second. Reads heads and small text files only."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import yaml

from tilth.sdk.importing.types import RUNS_CODE, Format, Found, NotImportable

MAX_TEXT_BYTES = 4_000_000
MAX_SAFETENSORS_HEADER = 100_000_000
HEAD_BYTES = 4096

NEEDS_ARCHITECTURE = (
    "these are weights without a model: PyTorch needs the class that they belong to. Build it, load them into it "
    "(safetensors.torch.load_model, or load_state_dict) and log it with tilth.log_model"
)
HUGGING_FACE = (
    "this is a folder of Hugging Face, whose code is in the package transformers: Tilth keeps it and does not serve it. Load it there "
    "and log a Python function around it with tilth.log_model, or export it to ONNX and import that"
)
_MLFLOW_FILES = {
    "onnx": "data",
    "xgboost": "data",
    "lightgbm": "data",
    "catboost": "data",
    "sklearn": "pickled_model",
    "pytorch": "model_data",
    "tensorflow": "data",
    "keras": "data",
}
"""Flavour of MLflow -> the field of it that names the model's own file."""


def found_at(path: Path, wanted: str | None = None) -> Found:
    """wanted: the format, where the caller knows better. Raises NotImportable."""
    if not path.exists():
        raise NotImportable(f"there is nothing at {path}")
    if not (path.is_file() or path.is_dir()):
        raise NotImportable(f"{path} is neither a file nor a folder: a device or a pipe may never end")
    if wanted is not None:
        if wanted not in get_args(Format):
            raise NotImportable(f"{wanted!r} is no format that is known; there are: {', '.join(get_args(Format))}")
        return _found(path, wanted)  # type: ignore[arg-type]
    return _in_folder(path) if path.is_dir() else _found(path, _of_file(path))


def _found(path: Path, format: Format) -> Found:
    match format:
        case "safetensors":
            check_safetensors(path)
            return Found(path, format, runs_code=False, note=NEEDS_ARCHITECTURE)
        case "hugging-face":
            return Found(path, format, runs_code=_carries_code(path), note=HUGGING_FACE)
        case "mlflow":
            return _of_mlflow(path)
        case "tilth":
            return Found(path, format, runs_code=_flavour_of_document(path) not in ("onnx", "xgboost", "lightgbm", "catboost"))
        case _:
            return Found(path, format, runs_code=format in RUNS_CODE)


def _in_folder(folder: Path) -> Found:
    names = {entry.name for entry in folder.iterdir()}
    if "tilth.json" in names and "MLmodel" in names:
        return _found(folder, "tilth")
    if "MLmodel" in names:
        return _found(folder, "mlflow")
    if names & {"saved_model.pb", "saved_model.pbtxt"}:
        return _found(folder, "saved-model")
    if "config.json" in names and any(name.endswith((".safetensors", ".bin", ".msgpack", ".h5")) for name in names):
        return _found(folder, "hugging-face")
    files = [entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    known = [file for file in files if _of_file_or_none(file) is not None]
    if len(known) == 1:
        return found_at(known[0])
    shown = ", ".join(sorted(names)[:10]) or "nothing"
    raise NotImportable(
        f"{folder.name} is no folder of a model that is known: it holds {shown}. Give the model's own file, or a folder of MLflow, "
        "Hugging Face or TensorFlow (SavedModel)"
    )


def _of_file(path: Path) -> Format:
    format = _of_file_or_none(path)
    if format is None:
        size = path.stat().st_size
        raise NotImportable(
            f"{path.name} ({size:,} bytes) is no model that is known, or it is truncated; known are: {', '.join(get_args(Format))}. "
            "Say which it is with flavour= or --flavour"
        )
    return format


def _of_file_or_none(path: Path) -> Format | None:
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        return None
    suffix = path.suffix.lower()
    if zipfile.is_zipfile(path):
        return _of_zip(path)
    for says, format in _HEADS:
        if says(head, suffix):
            return format
    return None


def _of_zip(path: Path) -> Format | None:
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise NotImportable(f"{path.name} cannot be read: {error}; it may be truncated: fetch it again") from error
    inner = {name.partition("/")[2] for name in names} | set(names)
    if "archive_format" in inner or "models/model.json" in inner or "serialized_exported_program.json" in inner:
        return "torch-export"
    if any(name.startswith("code/") for name in inner) and "data.pkl" in inner:
        return "torchscript"
    if "data.pkl" in inner:
        return "torch-pickle"
    if {"config.json", "metadata.json", "model.weights.h5"} <= inner:
        return "keras"
    return None


def _is_json(head: bytes) -> bool:
    return head.lstrip()[:1] == b"{"


_HEADS: tuple[tuple[Callable[[bytes, str], bool], Format], ...] = (
    (lambda head, suffix: suffix == ".safetensors" or _safetensors_head(head), "safetensors"),
    (lambda head, suffix: head.startswith(b"CBM1"), "catboost"),
    (lambda head, suffix: head.startswith(b"tree\n") and b"num_class" in head, "lightgbm"),
    (lambda head, suffix: _is_json(head) and b'"learner"' in head, "xgboost"),
    (
        lambda head, suffix: head[:1] == b"{" and b"learner" in head[:200] and suffix in (".ubj", ".model", ".xgb", ".bin"),
        "xgboost",
    ),
    (lambda head, suffix: suffix == ".joblib", "joblib"),
    (lambda head, suffix: head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05", "pickle"),
    (lambda head, suffix: suffix in (".pkl", ".pickle"), "pickle"),
    (lambda head, suffix: suffix == ".onnx" or (head[:1] == b"\x08" and b"onnx" in head[:200]), "onnx"),
)


def _safetensors_head(head: bytes) -> bool:
    return len(head) > 9 and head[8:9] == b"{" and 2 <= struct.unpack("<Q", head[:8])[0] <= MAX_SAFETENSORS_HEADER


def check_safetensors(path: Path) -> dict[str, Any]:
    """The header: name -> type, shape and place of each tensor. Raises NotImportable where the file is not what its header says."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_SAFETENSORS_HEADER, size - 8):
            raise NotImportable(f"{path.name} is no whole safetensors file: its header would have {length:,} of {size:,} bytes")
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, RecursionError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise NotImportable(f"the header of {path.name} is not that of a safetensors file: {error}") from error
    if not all(isinstance(end, int) for end in ends) or max(ends, default=0) != size - 8 - length:
        raise NotImportable(f"{path.name} is truncated or has more than its header says: fetch it again")
    return dict(header)


def read_small(path: Path) -> bytes:
    """Raises NotImportable for a text file of over 4 MB."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise NotImportable(f"{path.name} has more than {MAX_TEXT_BYTES:,} bytes; this file of a model is text of a few pages")
    return path.read_bytes()


def inside(folder: Path, name: object) -> Path:
    """The file or folder that a model's metadata names. Raises NotImportable where it leads out or is not there."""
    place = (folder / str(name)).resolve()
    if not place.is_relative_to(folder.resolve()) or not place.exists():
        raise NotImportable(f"{folder.name} names {str(name)[:80]!r}, which is not in the folder; it may be incomplete")
    return place


def _of_mlflow(folder: Path) -> Found:
    try:
        read: Any = yaml.load(read_small(folder / "MLmodel"), Loader=yaml.BaseLoader)
        flavours = dict(read["flavors"])
    except (yaml.YAMLError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise NotImportable(f"the file MLmodel of {folder.name} does not read: {str(error)[:120]}") from error
    example = read.get("saved_input_example_info")
    rows = folder / str(example.get("artifact_path", "")) if isinstance(example, dict) else folder
    for flavour, key in _MLFLOW_FILES.items():
        detail = flavours.get(flavour)
        if isinstance(detail, dict) and isinstance(named := detail.get(key) or detail.get("saved_model_dir"), str):
            inner = _inner(inside(folder, named))
            return Found(inner.path, inner.format, inner.runs_code, inner.note, rows if rows.is_file() else None)
    others = ", ".join(sorted(set(flavours) - {"python_function"})) or "python_function"
    note = f"a folder of MLflow with the flavour {others}: Tilth keeps it and does not serve it; load it and log it with tilth.log_model"
    return Found(folder, "mlflow", runs_code=True, note=note)


def _inner(path: Path) -> Found:
    """What lies at the place that MLflow names: a file, a SavedModel, or a folder with one file of a model."""
    if path.is_dir():
        for name in ("model.keras", "model.pt2", "model.pth"):
            if (path / name).is_file():
                return found_at(path / name)
    return found_at(path)


def _flavour_of_document(folder: Path) -> str:
    try:
        return str(json.loads(read_small(folder / "tilth.json"))["flavour"])
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise NotImportable(f"tilth.json of {folder.name} does not read: {str(error)[:120]}") from error


def _carries_code(folder: Path) -> bool:
    """Python files, pickled weights, or a configuration that names code of its own."""
    if any(path.suffix in (".py", ".bin", ".pkl", ".pickle", ".pt", ".pth") for path in folder.rglob("*")):
        return True
    return b"auto_map" in read_small(folder / "config.json")
