"""The journal: where a run goes on while its server is away. Append-only, one folder for each writer of a run.

What `append` returned from survives the death of the process; a power cut may take the last second of it, unless TILTH_JOURNAL_SYNC is
`each` (every entry is synced) or `never`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import Invalid
from tilth.core.hashing import CHUNK_BYTES, address_of_file, chunks, content_address
from tilth.core.home import find_home
from tilth.wire.journal import Began, Entry, Stored

FOLDER = "journal"
ENTRIES = "entries.jsonl"
FILES = "files"
MAX_COPIED_BYTES = 1 << 30
SYNC_EVERY_S = 1.0

Policy = Literal["each", "second", "never"]


class UnknownPolicy(Invalid):
    def __init__(self, given: str) -> None:
        super().__init__(f"TILTH_JOURNAL_SYNC is {given[:40]!r}; set it to `each`, `second` or `never`, or leave it out")


def journal_root(environ: Mapping[str, str], cwd: Path) -> Path:
    """TILTH_JOURNAL, else the folder `journal` of the nearest home. It need not exist."""
    named = environ.get("TILTH_JOURNAL")
    return Path(os.path.abspath(cwd / Path(named).expanduser())) if named else find_home(None, environ, cwd) / FOLDER


def policy(environ: Mapping[str, str]) -> Policy:
    """Raises UnknownPolicy."""
    given = environ.get("TILTH_JOURNAL_SYNC", "second")
    match given:
        case "each" | "second" | "never":
            return given
    raise UnknownPolicy(given)


class Journal:
    """One writer's part of one run. Threads share it; a forked child must not write to it. While it is open its file is locked."""

    def __init__(self, root: Path, began: Began, sync: Policy = "second") -> None:
        self.folder = root / f"{began.run_id}-{began.writer}"
        self.values = self.artifacts = 0
        self._sync_policy: Policy = sync
        self._lock = threading.RLock()
        self._synced_at = monotonic()
        self.folder.mkdir(mode=0o700, parents=True)
        self._file = os.open(self.folder / ENTRIES, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.append(began)
        self.sync()
        _sync_folder(self.folder)
        _sync_folder(root)

    def append(self, entry: Entry) -> None:
        """Raises OSError: the disk is full, or gone."""
        line = msgspec.json.encode(entry) + b"\n"
        with self._lock:
            end = os.fstat(self._file).st_size
            try:
                _write_all(self._file, line)
            except OSError:
                # Half a line must not stand before the next one.
                os.ftruncate(self._file, end)
                raise
            late = monotonic() - self._synced_at > SYNC_EVERY_S
            if self._sync_policy == "each" or (self._sync_policy == "second" and late):
                self.sync()

    def keep_bytes(self, data: bytes, path: str, content_type: str) -> None:
        """Stores an artifact."""
        stored = Stored(path, content_address(data), len(data), content_type)
        with self._lock:
            target = self._place(stored)
            if not target.exists():
                _write_durably(target, iter([data]))
            self.artifacts += 1
            self.append(stored)

    def keep_file(self, file: Path, path: str, content_type: str) -> None:
        """Copies a file of at most 1 GiB; a larger one is noted by its place and digest, and must stay until it was sent."""
        size = file.stat().st_size
        if size > MAX_COPIED_BYTES:
            self.artifacts += 1
            self.append(Stored(path, address_of_file(file), size, content_type, str(file.resolve())))
            return
        with self._lock, file.open("rb") as stream:
            arriving = self.folder / FILES / f"arriving-{threading.get_ident()}"
            _write_durably(arriving, chunks(stream, CHUNK_BYTES))
            stored = Stored(path, address_of_file(arriving), arriving.stat().st_size, content_type)
            arriving.rename(self._place(stored))
            self.artifacts += 1
            self.append(stored)

    def sync(self) -> None:
        with self._lock:
            os.fsync(self._file)
            self._synced_at = monotonic()

    def size(self) -> int:
        """Bytes of entries."""
        return os.fstat(self._file).st_size

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody appends meanwhile."""
        with self._lock:
            yield

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                with suppress(OSError):
                    os.fsync(self._file)
                os.close(self._file)
                self._file = -1

    def drop(self) -> None:
        """Everything was sent."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, stored: Stored) -> Path:
        (self.folder / FILES).mkdir(exist_ok=True)
        return self.folder / FILES / stored.digest


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _write_durably(target: Path, pieces: Iterator[bytes]) -> None:
    target.parent.mkdir(exist_ok=True)
    fresh = target.with_name(f"{target.name}.new")
    with fresh.open("wb") as stream:
        stream.writelines(pieces)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(target)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
