"""The data that a run read: whether it is here, by content. Sizes that do not fit are told without reading."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from tilth.cli.reproducing.folder import UnsafePath, harbour
from tilth.core.hashing import Manifest, address_of_file, is_digest
from tilth.wire.tracking import ArtifactEntry, DatasetInput

MAX_COPIED_BYTES = 1 << 30

State = Literal["there", "brought", "linked", "differs", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Found:
    """state: `brought` (copied to where the program looks) and `linked` (above 1 GiB) are as good as `there`."""

    name: str
    state: State
    words: str

    @property
    def is_bad(self) -> bool:
        return self.state in ("differs", "missing")


class Held(msgspec.Struct):
    """What a digest promises of size: of a file, or of all files of a folder."""

    bytes: int = -1
    files: int = 1


def look_for(
    inputs: Sequence[DatasetInput],
    folder: Path,
    where: PurePosixPath,
    before: Path | None,
    kept: dict[str, ArtifactEntry],
    fetch: Callable[[ArtifactEntry, Path], None],
) -> list[Found]:
    """folder: where the code lies; where: working folder of the program, below it. before: that of the run, if it may lie on this machine.

    kept: artifacts of the run by digest; one that is the data is fetched to where the program looks for it.
    """
    return [_found(data, folder, where, before, kept, fetch) for data in inputs]


def _found(
    data: DatasetInput,
    folder: Path,
    where: PurePosixPath,
    before: Path | None,
    kept: dict[str, ArtifactEntry],
    fetch: Callable[[ArtifactEntry, Path], None],
) -> Found:
    if data.source_type not in ("file", "folder") or not is_digest(data.digest) or not data.source:
        told = f" from {data.source}" if data.source else ""
        return Found(
            data.name, "unknown", f"was read as {data.source_type or 'it was'}{told}; compare its digest {data.digest[:12]}"
        )
    wanted = _held(data)
    is_relative = not data.source.startswith(("/", "~")) and "://" not in data.source
    place = Path(os.path.normpath(folder / where / data.source)) if is_relative else Path(data.source)
    if _fits(place, data, wanted):
        return Found(data.name, "there", str(place))
    if os.path.exists(place):
        return Found(data.name, "differs", f"{place} is not what the run read (digest {data.digest[:12]})")
    target = _target(folder, where, data.source) if is_relative else None
    old = before / data.source if before is not None and is_relative else None
    if target is not None and old is not None and _fits(old, data, wanted):
        return _bring(data, old, target, wanted)
    if target is not None and data.source_type == "file" and data.digest in kept:
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch(kept[data.digest], target)
        return Found(data.name, "brought", f"{target}, from artifact {kept[data.digest].path} of the run")
    return Found(data.name, "missing", f"no {data.source_type} {place} (digest {data.digest[:12]})")


def _held(data: DatasetInput) -> Held:
    try:
        return msgspec.json.decode(data.profile, type=Held)
    except msgspec.DecodeError:
        return Held()


def _fits(place: Path, data: DatasetInput, wanted: Held) -> bool:
    """Reads no more than was recorded: a record may name any path of this machine."""
    try:
        if data.source_type == "file":
            return place.is_file() and place.stat().st_size == wanted.bytes and address_of_file(place) == data.digest
        return place.is_dir() and _is_as_large(place, wanted) and Manifest.of_folder(place).digest == data.digest
    except OSError:
        return False


def _is_as_large(folder: Path, wanted: Held) -> bool:
    files = size = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            files, size = files + 1, size + path.stat().st_size
            if files > wanted.files or size > wanted.bytes:
                return False
    return (files, size) == (wanted.files, wanted.bytes)


def _target(folder: Path, where: PurePosixPath, source: str) -> Path | None:
    """Where the program looks for it, if that is below the folder and no link leads out."""
    try:
        return harbour(folder, PurePosixPath(os.path.normpath(where / source)))
    except UnsafePath:
        return None


def _bring(data: DatasetInput, old: Path, target: Path, wanted: Held) -> Found:
    target.parent.mkdir(parents=True, exist_ok=True)
    if wanted.bytes > MAX_COPIED_BYTES:
        target.symlink_to(old.resolve(), target_is_directory=old.is_dir())
        return Found(data.name, "linked", f"{target} leads to {old}")
    if old.is_dir():
        shutil.copytree(old, target, symlinks=True)
    else:
        shutil.copyfile(old, target)
    return Found(data.name, "brought", f"{target}, from {old}")
