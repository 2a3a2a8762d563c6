"""Making a home fit to live in, keeping it to one server, and telling clients where that server answers."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tilth.core.errors import Conflict, Damaged, Invalid, OutOfSpace
from tilth.core.home import LOCK_FILE, LOGS_FOLDER, SERVER_FILE, UP_LOCK_FILE, ServerFile, read_server_file
from tilth.core.mounts import MOUNTS, NETWORK_FILE_SYSTEMS, file_system_of
from tilth.wire.plane import CACHE_FOLDER, PREDICTIONS_FOLDER, STATUS_FOLDER

LEAST_FREE_BYTES = 64 * 1024 * 1024
"""Below this the database could not even be migrated safely."""
_FOLDERS = ("blobs", STATUS_FOLDER, CACHE_FOLDER, PREDICTIONS_FOLDER, LOGS_FOLDER)


class HomeUnusable(Invalid):
    """The folder cannot be a home: no rights, not a folder, or on a file system whose locks cannot be trusted."""


class HomeFull(OutOfSpace):
    """Too little space is left for a server to start."""


class HomeLocked(Conflict):
    """Another server holds the home."""


def prepare_home(home: Path, *, on_sqlite: bool = True, mounts: Path = MOUNTS) -> Path:
    """Makes the folder (mode 0700) and those below it, and checks that a server can live there. Returns it.

    mounts: the kernel's table of mounts, another file only in tests. Raises HomeUnusable, HomeFull.
    """
    if on_sqlite:
        refuse_network_file_system(home, mounts)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in _FOLDERS:
            (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_probe(home)
    except FileExistsError as error:
        raise HomeUnusable(f"home {home} is a file, not a folder; name another place with --home") from error
    except OSError as error:
        raise _told(home, error) from error
    if (free := shutil.disk_usage(home).free) < LEAST_FREE_BYTES:
        raise HomeFull(
            f"home {home} has {free // 1_048_576} MiB left; free at least {LEAST_FREE_BYTES // 1_048_576} MiB, "
            "or name another place with --home"
        )
    return home


def refuse_network_file_system(home: Path, mounts: Path = MOUNTS) -> None:
    """Raises HomeUnusable if SQLite's locks could fail there: two machines may believe that they hold the same lock."""
    kind = file_system_of(home, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise HomeUnusable(
            f"home {home} is on a network file system ({kind}), where SQLite loses data; name a folder on a local disk with --home, "
            "or set database_url to a PostgreSQL database"
        )


class HomeLock:
    """Held until `release` or the end of the process, however it ends: the kernel drops the lock with the file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def lock_home(home: Path, name: str = LOCK_FILE) -> HomeLock:
    """Takes the home for this process. `lock` is held by the process that writes the database, `up.lock` by `tilth up`.

    Raises HomeLocked, naming the holder.
    """
    try:
        descriptor = os.open(home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _told(home, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        os.close(descriptor)
        raise HomeLocked(_holder(home, name)) from error
    except OSError as error:
        os.close(descriptor)
        raise _told(home, error) from error
    return HomeLock(descriptor)


def lock_holder(home: Path, name: str = UP_LOCK_FILE) -> int | None:
    """Process id of the holder, None if the lock is free, 0 if it is held by a process that did not write its id."""
    try:
        descriptor = os.open(home / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


@contextlib.contextmanager
def starting_alone(home: Path) -> Iterator[None]:
    """Lets the control processes of a home (several, on PostgreSQL) make its first tokens one after the other: each of two that did so
    at once would revoke what the other has just written into the home. The kernel drops the lock when its holder ends.
    """
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_server_file(home: Path, server: ServerFile) -> None:
    """Replaces `server.json` as a whole (mode 0600): a reader sees the old one or the new one, never a part."""
    descriptor, name = tempfile.mkstemp(prefix=".server-", dir=home)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(server.to_json())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, home / SERVER_FILE)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def remove_server_file(home: Path, pid: int) -> None:
    """Removes `server.json` at the end of a server, unless another one has replaced it since."""
    path = home / SERVER_FILE
    try:
        if json.loads(path.read_bytes()).get("pid") == pid:
            path.unlink()
    except (OSError, ValueError, AttributeError):
        return


def _holder(home: Path, name: str) -> str:
    pid = lock_holder(home, name)
    try:
        server = read_server_file(home)
    except (Damaged, Invalid):
        server = None
    who = f" (process {pid})" if pid else ""
    where = f", which answers at {server.url}" if server else ""
    return (
        f"home {home} is in use by another Tilth server{who}{where}; use that one, stop it with `tilth stop`, "
        "or name another place with --home"
    )


def _write_probe(home: Path) -> None:
    """Rights as the kernel sees them (access lists, read-only mounts, a full disk) show only when something is written."""
    descriptor, name = tempfile.mkstemp(prefix=".probe-", dir=home)
    try:
        os.write(descriptor, b"tilth" * 1024)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        os.unlink(name)


def _told(home: Path, error: OSError) -> HomeUnusable | HomeFull:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HomeFull(f"no space left for home {home}; free some, or name another place with --home")
    where = error.filename or home
    return HomeUnusable(
        f"home {home} cannot be used: {error.strerror} ({where}); give this user rights there, or name another place with --home"
    )
