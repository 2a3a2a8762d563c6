"""Both ends of the talk with the model servers: the state that control publishes, the statuses that it reads."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tilth.backends.sql import Database, Tx
from tilth.core.clock import Clock
from tilth.core.ids import new_id
from tilth.core.killpoints import reach
from tilth.domains.serving.queries import plane_deployments_across_projects
from tilth.domains.serving.rules.liveness import leased
from tilth.wire.plane import STATE_PATH, STATUS_FOLDER, PlaneDeployment, PlaneState, PlaneToken, WorkerStatus

log = logging.getLogger("tilth.serving")

MAX_STATUS_BYTES = 16_000_000


class PlanePublisher:
    """Writes `plane/state.json` of a home whenever what the model servers must know has changed.

    tokens: the credentials with the scope `predict`. The file appears by rename after its bytes are synced, so that a worker reads an
    old state or a new one. Its sequence grows over restarts and even over the loss of the file. Thread-safe; several control processes
    may publish into one home.
    """

    def __init__(
        self, db: Database, home: Path, clock: Clock, control_url: str, *, tokens: Callable[[Tx], list[PlaneToken]]
    ) -> None:
        self._db = db
        self._path = home / STATE_PATH
        self._clock = clock
        self._control_url = control_url
        self._tokens = tokens
        self._lock = threading.Lock()
        self._sequence = 0

    def publish_if_changed(self) -> bool:
        """True if a new state was written. Blocks: call it from a worker thread, each second and after every change."""
        # The database is read under the lock: what a slower process read before would otherwise replace what a faster one wrote since.
        with self._lock, _alone(self._path):
            last = read_state(self._path)
            deployments, tokens = self._db.read_blocking(self._wanted)
            wanted = PlaneState(0, 0, self._control_url, deployments, tokens)
            self._sequence = max(self._sequence, last.sequence if last is not None else 0)
            if last is not None and _contents(last) == _contents(wanted):
                return False
            moment = self._clock()
            # Never smaller than the time: a state after a lost or damaged file is still newer than what workers saw.
            self._sequence = max(moment, self._sequence + 1)
            state = msgspec.structs.replace(wanted, sequence=self._sequence, written=moment)
            for leftover in self._path.parent.glob(f".{self._path.name}.*"):
                leftover.unlink()  # of a publisher that was killed
            write_synced(self._path, msgspec.json.encode(state))
            return True

    def _wanted(self, tx: Tx) -> tuple[tuple[PlaneDeployment, ...], tuple[PlaneToken, ...]]:
        tokens = sorted(self._tokens(tx), key=lambda token: token.sha256)
        return plane_deployments_across_projects(tx), tuple(tokens)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lets one process at a time replace `path`, by a lock on its folder, which the kernel drops when the holder ends, however it ends."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _contents(state: PlaneState) -> PlaneState:
    return msgspec.structs.replace(state, sequence=0, written=0)


def read_state(path: Path) -> PlaneState | None:
    """The published state; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PlaneState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s does not read as a state of the model servers (%s); it is written anew", path, error)
        return None


def write_synced(path: Path, content: bytes) -> None:
    """Replaces `path` so that a reader, a kill and a power cut each see the old bytes or the new ones. Readable by the owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{new_id()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        reach("state_before_rename")
        temporary.replace(path)
        reach("state_after_rename")
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class StatusReader:
    """Reads what the workers of a home wrote into `plane/status/`."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._folder = home / STATUS_FOLDER
        self._clock = clock
        self._decoder = msgspec.json.Decoder(WorkerStatus)

    def read(self) -> list[WorkerStatus]:
        """Statuses younger than 10 s, by name of the worker. Blocks for a few files."""
        return leased(self.read_all(), self._clock())

    def read_all(self) -> list[WorkerStatus]:
        """Statuses of any age. One that cannot be read does not count: its worker writes another within a second."""
        found = []
        try:
            paths = sorted(self._folder.glob("*.json"))
        except OSError:
            return []
        for path in paths:
            status = self._read_one(path)
            if status is not None:
                found.append(status)
        return found

    def _read_one(self, path: Path) -> WorkerStatus | None:
        try:
            if path.name.startswith(".") or path.stat().st_size > MAX_STATUS_BYTES:
                return None
            return self._decoder.decode(path.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
