"""Archives of model folders, unpacked where nothing in them can lead out."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tilth.core.errors import TilthError
from tilth.core.hashing import CHUNK_BYTES
from tilth.core.names import check_artifact_path
from tilth.sdk.importing.types import NotImportable

MAX_FILES = 10_000
MAX_BYTES = 50 << 30
MAX_RATIO = 1000
"""Unpacked bytes for one packed byte, above 100 MB: models shrink by a few times, bombs by thousands."""
RATIO_FROM_BYTES = 100_000_000


def unpack(archive: Path, into: Path) -> Path:
    """Unpacks a `.zip`, `.tar`, `.tar.gz` or `.tgz`. Returns the folder, or the one thing in it. Raises NotImportable.

    Refused: paths that lead out, links, devices, more than 10,000 files or 50 GiB, bombs, truncated files.
    """
    into.mkdir(parents=True, exist_ok=True)
    most = min(MAX_BYTES, max(RATIO_FROM_BYTES, archive.stat().st_size * MAX_RATIO))
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                _write(archive, _of_zip(archive, packed), into, most)
        else:
            with tarfile.open(archive) as packed_tar:
                _write(archive, _of_tar(archive, packed_tar), into, most)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError, NotImplementedError, RuntimeError) as error:
        raise NotImportable(
            f"{archive.name} cannot be unpacked: {str(error)[:200] or type(error).__name__}; it may be truncated: fetch it again"
        ) from error
    inside = list(into.iterdir())
    return inside[0] if len(inside) == 1 else into


def is_archive(path: Path) -> bool:
    """By its name: formats of models are zip files, too."""
    return path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def _of_zip(archive: Path, packed: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in packed.infolist():
        if member.is_dir():
            continue
        if member.external_attr >> 28 == 0xA:
            raise NotImportable(f"{archive.name} holds the link {member.filename[:80]!r}; links are not unpacked")
        with packed.open(member) as stream:
            yield member.filename, stream


def _of_tar(archive: Path, packed: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in packed:
        if member.isdir():
            continue
        stream = packed.extractfile(member) if member.isreg() else None
        if stream is None:
            raise NotImportable(
                f"{archive.name} holds {member.name[:80]!r}, which is no plain file; links and devices are not unpacked"
            )
        with stream:
            yield member.name, stream


def _write(archive: Path, members: Iterator[tuple[str, IO[bytes]]], into: Path, most: int) -> None:
    total = 0
    for files, (name, stream) in enumerate(members, start=1):
        path = into / _safe(archive, name)
        if files > MAX_FILES:
            raise NotImportable(f"{archive.name} holds more than {MAX_FILES:,} files; unpack it and give the model's own folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            while piece := stream.read(CHUNK_BYTES):
                total += len(piece)
                if total > most:
                    shutil.rmtree(into, ignore_errors=True)
                    raise NotImportable(
                        f"{archive.name} unpacks to more than {most:,} bytes; if it is a model, unpack it and give the folder"
                    )
                out.write(piece)


def _safe(archive: Path, name: str) -> str:
    try:
        return check_artifact_path(name.removeprefix("./"))
    except TilthError as error:
        raise NotImportable(f"{archive.name} holds the path {name[:80]!r}, which leads out of it or is none: {error}") from error
