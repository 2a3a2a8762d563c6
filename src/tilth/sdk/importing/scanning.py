"""What a look from outside says about a model's files. Nothing is loaded, unpickled or imported from them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tilth.core.hashing import CHUNK_BYTES
from tilth.sdk.importing.formats import MAX_TEXT_BYTES
from tilth.sdk.importing.pickle_look import SAFE, Look, dangerous, look_at, look_at_file
from tilth.sdk.importing.types import Found, NotImportable, Scan

OURS = "tilth"
MAX_FINDINGS = 20
PICKLES = (".pkl", ".pickle", ".joblib", ".bin", ".pt", ".pth", ".p", ".dill")

_KERAS_MODULE = re.compile(
    r"keras(\.src)?(\.(layers|initializers|regularizers|constraints|activations|optimizers|losses|metrics|models|dtype_policies|saving))?(\.[a-z_0-9.]+)?"
)
_KERAS_CODE = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "function"})
"""Classes of Keras that hold or fetch code of their own."""
_SCRIPT_FILES = re.compile(
    rb"ops\.aten\.(?:save|from_file)\b|torch\.(?:save|from_file|load)\b|ops\.image\.\w*write|ops\.\w+\.write_file"
)
_GRAPH_FILES = re.compile(rb"\b(?:ReadFile|WriteFile|MatchingFiles|PyFunc|EagerPyFunc|PyFuncStateless|LookupTableImportV2)\b")


def scan(found: Found) -> Scan:
    """Raises NotImportable for a file that its format cannot have."""
    match found.format:
        case "keras":
            findings = _keras(found.path)
            return Scan("flagged" if findings else "clean", tuple(findings), OURS)
        case "torchscript":
            findings = [f"the program may touch files: {name}" for name in _in_zip(found.path, _SCRIPT_FILES, "code/")]
            return _told(findings, [*_pickles_in_zip(found.path)])
        case "saved-model":
            return _told(
                [f"the program may touch files or run Python: {name}" for name in _in_folder(found.path, _GRAPH_FILES)], []
            )
        case "torch-pickle" | "torch-export":
            return _told([], [*_pickles_in_zip(found.path)])
        case "pickle" | "joblib":
            return _told(_picklescan(found.path), [(found.path.name, look_at_file(found.path))])
        case "hugging-face" | "mlflow" | "tilth" if found.runs_code:
            return _folder(found.path)
        case _:
            return Scan("clean", (), OURS)


def is_state(found: Found) -> bool:
    """Whether a file of PyTorch holds nothing but tensors by name: weights, and no model."""
    looks = [look for _, look in _pickles_in_zip(found.path)]
    return bool(looks) and all(look.whole and look.names <= SAFE for look in looks)


def _told(findings: list[str], looks: list[tuple[str, Look]]) -> Scan:
    """What may run code is never clean: flagged where something was found, else not scannable."""
    bad = list(findings)
    scanner = OURS
    for name, look in looks:
        bad += [f"{name} would import {found}" for found in dangerous(look)]
        if look.planted and not any(finding.startswith(name) for finding in bad):
            bad.append(f"{name} holds the bytes of an import that starts programs")
    if bad:
        return Scan("flagged", tuple(bad[:MAX_FINDINGS]), scanner)
    known = sorted({name.partition(".")[0] for _, look in looks for name in look.names - SAFE})
    partly = [name for name, look in looks if not look.whole]
    notes = []
    if known:
        notes.append(f"it imports from {', '.join(known[:10])}, whose classes may run code when they are rebuilt")
    if partly:
        notes.append(f"{partly[0]} cannot be read to its end from outside")
    return Scan("not-scannable", tuple(notes), scanner)


def _folder(folder: Path) -> Scan:
    """Pickles in it, and Python that came with it."""
    notes = [f"{path.relative_to(folder)} is Python code that came with it" for path in sorted(folder.rglob("*.py"))]
    looks = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix.lower() not in PICKLES:
            continue
        if zipfile.is_zipfile(path):
            looks += [(f"{path.name}:{name}", look) for name, look in _pickles_in_zip(path)]
        else:
            looks.append((path.name, look_at_file(path)))
    told = _told([], looks)
    return Scan(told.verdict, (*told.findings, *notes)[:MAX_FINDINGS], told.scanner)


def _pickles_in_zip(path: Path) -> Iterator[tuple[str, Look]]:
    with _opened(path) as packed:
        for name in packed.namelist():
            if name.endswith((".pkl", ".pt", ".pth")):
                with packed.open(name) as stream:
                    yield from _maybe_nested(name, stream)


def _maybe_nested(name: str, stream: IO[bytes]) -> Iterator[tuple[str, Look]]:
    """torch.export keeps whole archives of PyTorch inside its own."""
    if zipfile.is_zipfile(stream):
        stream.seek(0)
        with zipfile.ZipFile(stream) as inner:
            for inside in inner.namelist():
                if inside.endswith(".pkl"):
                    with inner.open(inside) as pickled:
                        yield f"{name}:{inside}", look_at(pickled)
        return
    stream.seek(0)
    yield name, look_at(stream)


def _in_zip(path: Path, wanted: re.Pattern[bytes], below: str) -> list[str]:
    names: set[str] = set()
    with _opened(path) as packed:
        for entry in packed.infolist():
            if f"/{below}" in f"/{entry.filename}" and not entry.filename.endswith("debug_pkl"):
                names.update(match.decode() for match in wanted.findall(packed.read(entry)[:MAX_TEXT_BYTES]))
    return sorted(names)


def _in_folder(folder: Path, wanted: re.Pattern[bytes]) -> list[str]:
    names: set[str] = set()
    for path in folder.glob("saved_model.pb*"):
        with path.open("rb") as stream:
            tail = b""
            while piece := stream.read(CHUNK_BYTES):
                names.update(match.decode() for match in wanted.findall(tail + piece))
                tail = piece[-64:]
    return sorted(names)


def _keras(path: Path) -> list[str]:
    with _opened(path) as packed:
        if packed.getinfo("config.json").file_size > 50 * MAX_TEXT_BYTES:
            raise NotImportable(f"config.json of {path.name} is too large to be that of a model")
        try:
            config: Any = json.loads(packed.read("config.json"))
        except (ValueError, RecursionError) as error:
            raise NotImportable(f"config.json of {path.name} does not read: {str(error)[:120]}") from error
    return [f"layer or function {name} brings code of its own" for name in sorted(set(_foreign(config)))]


def _foreign(config: Any) -> Iterator[str]:
    """Classes that are not Keras's own, or hold code."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            kind, module = value.get("class_name"), value.get("module")
            if isinstance(kind, str) and "config" in value:
                own = value.get("registered_name") in (None, kind) and (module is None or _KERAS_MODULE.fullmatch(str(module)))
                if kind in _KERAS_CODE or not (
                    own or (module == "builtins" and kind in ("__tensor__", "dict", "tuple", "slice"))
                ):
                    yield f"{module}.{kind}" if module else kind


def _picklescan(path: Path) -> list[str]:
    """What picklescan finds, where it is installed. It disassembles, as we do, and knows other names."""
    try:
        scanner = import_module("picklescan.scanner")
    except ImportError:
        return []
    try:
        with path.open("rb") as stream:
            result = scanner.scan_pickle_bytes(stream, path.name)
    except Exception:  # noqa: BLE001 it raises whatever a strange opcode makes it raise; our own look reads on
        return []
    return [f"picklescan: would import {one.module}.{one.name}" for one in result.globals if one.safety.value == "dangerous"]


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise NotImportable(f"{path.name} cannot be read: {error}; it may be truncated: fetch it again") from error
