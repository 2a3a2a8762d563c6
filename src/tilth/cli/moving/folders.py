"""Files of a folder on this machine, as artifacts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tilth.cli.moving.source import SourceFile, Unreachable

PIECE_BYTES = 1 << 20


def local_path(uri: str) -> Path | None:
    """The path behind `file:///x`, `file:x` or a plain path; None for an address of another kind."""
    if "://" not in uri and not uri.startswith("file:"):
        return Path(uri)
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def check_artifacts(folder: Path) -> Path:
    """The folder, if it is what MLflow makes: below one named `artifacts`, or a model's own, wherever links lead. Raises Unreachable.

    A store that somebody hands on could name any folder of this machine, to see its files in a shared project.
    """
    real = folder.resolve()
    if "artifacts" not in real.parts and not (real / "MLmodel").is_file():
        raise Unreachable(f"{folder} is no folder of artifacts as MLflow makes them (.../artifacts), so nothing is read from it")
    return real


def files_below(folder: Path) -> Iterator[SourceFile]:
    """Every plain file, in order of paths. Links are left out: they could lead anywhere. Raises Unreachable."""
    if not folder.is_dir():
        raise Unreachable(f"the folder {folder} is not there")
    for at, names, files in os.walk(folder):
        names.sort()
        for name in sorted(files):
            path = Path(at, name)
            if not path.is_symlink() and path.is_file():
                yield SourceFile(path.relative_to(folder).as_posix(), path.stat().st_size, str(path))


def pieces_of(path: Path) -> Iterator[bytes]:
    """Raises Unreachable."""
    try:
        with path.open("rb") as opened:
            while piece := opened.read(PIECE_BYTES):
                yield piece
    except OSError as error:
        raise Unreachable(f"{path} cannot be read: {error.strerror}") from error
