"""The journal: where a run goes on while its server is away. Append-only, one folder for each writer of a run.

What `append` returned from survives the death of the process; a power cut may take the last second of it, unless TILTH_JOURNAL_SYNC is
`each` (every entry is synced) or `never`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from tilth.core.clock import monotonic, now
from tilth.core.errors import Damaged, Invalid
from tilth.core.hashing import CHUNK_BYTES, address_of_file, chunks, content_address
from tilth.core.home import find_home
from tilth.wire.journal import Began, Entry, Logged, Position, Stored

FOLDER = "journal"
ENTRIES = "entries.jsonl"
FILES = "files"
POSITION = "position"
LOCK = "sending.lock"
MAX_COPIED_BYTES = 1 << 30
SYNC_EVERY_S = 1.0

Policy = Literal["each", "second", "never"]


class JournalDamaged(Damaged):
    """A line of a journal is not what was written."""


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


# Reading


_decode = msgspec.json.Decoder(Entry).decode


def journals(root: Path) -> list[Path]:
    """Folders of writers, oldest run first. A folder that ends in `.refused` was sent, but for what the server did not take."""
    if not root.is_dir():
        return []
    found = [folder for folder in root.iterdir() if (folder / ENTRIES).is_file() and not folder.name.endswith(".refused")]
    return sorted(found, key=lambda folder: folder.name)


def entries(folder: Path, start: int = 0) -> Iterator[tuple[Entry, int, int]]:
    """(entry, begin, end) from byte `start` on. A last line without its end was torn by a crash, or is being written: it is left out.

    Raises JournalDamaged.
    """
    with (folder / ENTRIES).open("rb") as stream:
        stream.seek(start)
        begin = start
        for line in stream:
            if not line.endswith(b"\n"):
                return
            end = begin + len(line)
            try:
                yield _decode(line), begin, end
            except msgspec.MsgspecError as error:
                raise JournalDamaged(
                    f"{folder / ENTRIES} is damaged at byte {begin} ({error}): what stands before it can be sent; "
                    "delete the line by hand to go on with what follows"
                ) from error
            begin = end


def began(folder: Path) -> Began:
    """Raises JournalDamaged."""
    for entry, _, _ in entries(folder):
        if isinstance(entry, Began):
            return entry
        break
    raise JournalDamaged(f"{folder / ENTRIES} does not begin with its run; it cannot be sent")


def read_position(folder: Path) -> Position:
    try:
        return msgspec.json.decode((folder / POSITION).read_bytes(), type=Position)
    except FileNotFoundError:
        return Position()


def write_position(folder: Path, position: Position) -> None:
    """Durably: what was sent must not be forgotten, or it would be sent again in other groups."""
    fresh = folder / f"{POSITION}.new"
    with fresh.open("wb") as stream:
        stream.write(msgspec.json.encode(position))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(folder / POSITION)


def last_steps(root: Path, run_id: str) -> dict[str, int]:
    """Greatest step of each metric that waits for this run."""
    steps: dict[str, int] = {}
    for folder in journals(root):
        if folder.name.startswith(run_id):
            for entry, _, _ in entries(folder):
                if isinstance(entry, Logged):
                    for point in entry.batch.metrics:
                        steps[point.key] = max(point.step, steps.get(point.key, point.step))
    return steps


def is_written(folder: Path, begun: Began, quiet_s: float) -> bool:
    """Whether its writer may still live: it holds the lock, or runs on another machine and wrote within `quiet_s` seconds."""
    with (folder / ENTRIES).open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        age_s = now() / 1000 - os.fstat(stream.fileno()).st_mtime
    return begun.host != socket.gethostname() and age_s < quiet_s


@contextmanager
def sending(folder: Path) -> Iterator[bool]:
    """Whether this process is the one that sends the folder, for the length of the block."""
    with (folder / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


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
