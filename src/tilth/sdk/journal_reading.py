"""Journals as they lie on disk: which there are, what they hold, how far they were sent, and who sends them now."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tilth.core.clock import now
from tilth.core.errors import Damaged
from tilth.sdk.journal import ENTRIES
from tilth.wire.journal import Began, Entry, Logged, Position

POSITION = "position"
LOCK = "sending.lock"

_decode = msgspec.json.Decoder(Entry).decode


class JournalDamaged(Damaged):
    """A line of a journal is not what was written."""


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
