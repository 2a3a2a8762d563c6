"""The folder in which a run is made again. It is there whole or not at all; one that was prepared before is known again."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from tilth.core.errors import Conflict, Invalid

MARKER = "tilth-reproduced.json"


class FolderInUse(Conflict):
    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"{folder} {why}; name a new or an empty folder with --into")


class UnsafePath(Invalid):
    def __init__(self, path: str) -> None:
        super().__init__(f"{path[:200]!r} would be written outside of the folder, or through a link; nothing was prepared")


class Prepared(msgspec.Struct, omit_defaults=True):
    """Left in the folder. packages: whether the virtual environment is finished."""

    run_id: str
    commit: str = ""
    packages: bool = False


def look_at(folder: Path, run_id: str) -> Prepared | None:
    """What was prepared there for this run; None for a new or empty folder. Raises FolderInUse."""
    if not folder.exists() and not folder.is_symlink():
        return None
    if not folder.is_dir():
        raise FolderInUse(folder, "is no folder")
    try:
        found = msgspec.json.decode((folder / MARKER).read_bytes(), type=Prepared)
    except (FileNotFoundError, msgspec.DecodeError):
        if any(folder.iterdir()):
            raise FolderInUse(folder, "is not empty") from None
        return None
    if found.run_id != run_id:
        raise FolderInUse(folder, f"was prepared for run {found.run_id}")
    return found


def note(folder: Path, prepared: Prepared) -> None:
    with arriving(folder / MARKER) as stream:
        stream.write(msgspec.json.encode(prepared))


@contextmanager
def arriving(target: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `target` once the block has ended well. Its name is new: a commit may hold links of any name."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    with ExitStack() as undo:
        undo.callback(os.unlink, name)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        os.chmod(name, 0o644)
        os.replace(name, target)
        undo.pop_all()


@contextmanager
def preparing(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place once the block has ended well, and goes otherwise. Raises FolderInUse.

    One that a killed call left behind is emptied and used.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.preparing")
    partial.mkdir(exist_ok=True)
    with held(partial), ExitStack() as undo:
        _empty(partial)
        undo.callback(shutil.rmtree, partial, ignore_errors=True)
        yield partial
        os.rename(partial, folder)
        undo.pop_all()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other calls out of the folder until the block ends, however it ends. Raises FolderInUse."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(folder, "is being prepared by another call") from error
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise FolderInUse(folder, "belongs to somebody else")
        # Whoever held it may have moved it into place meanwhile.
        if not folder.exists() or not os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            raise FolderInUse(folder, "was prepared by another call just now")
        yield
    finally:
        os.close(descriptor)


def place(folder: Path, name: PurePosixPath, data: bytes) -> None:
    """Writes a file below `folder`, making folders on the way. Raises UnsafePath: a commit may hold links that lead out."""
    target = harbour(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with arriving(target) as stream:
        stream.write(data)


def harbour(folder: Path, name: PurePosixPath) -> Path:
    """The path below `folder` that `name` stands for, if no link and no `..` leads out of it. Raises UnsafePath."""
    if name.is_absolute() or not name.parts or any(part == ".." or part.lower() == ".git" for part in name.parts):
        raise UnsafePath(str(name))
    reached = folder
    for part in name.parts:
        reached = reached / part
        if reached.is_symlink():
            raise UnsafePath(str(name))
    return reached


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
