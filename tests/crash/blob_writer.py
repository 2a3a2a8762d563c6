"""A bare process that puts numbered blobs into the folder argv[1] and says on standard output which of them it was told are safe.

argv[2] is how it writes: `honest` is the product; the others each have one fault that the harness must find.
Every line of output is a JSON list; with argv[3] `trace` it also tells each step that matters to durability, in order.
"""

import asyncio
import functools
import hashlib
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tilth.backends.blobs.local import LocalBlobs
from tilth.core.clock import now
from tilth.core.hashing import content_address
from tilth.core.ids import Digest
from tilth.core.killpoints import reach
from tilth.core.ports import StoredBlob

BLOBS = 6


def content(number: int) -> bytes:
    """Small blobs and blobs of several pieces, in turn."""
    return hashlib.shake_128(b"%d" % number).digest(100 if number % 2 else 2_500_000)


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1 << 20):
        yield data[at : at + (1 << 20)]


def say(*words: object) -> None:
    # One write of the file descriptor: nothing stays in a buffer that a kill would take along.
    REAL["write"](1, json.dumps(words).encode() + b"\n")


class RenamesFirst(LocalBlobs):
    """Fault: the blob has its name before it has its bytes."""

    async def put(
        self, pieces: AsyncIterator[bytes], *, expect: Digest | None = None, max_bytes: int | None = None
    ) -> StoredBlob:
        data = b"".join([piece async for piece in pieces])
        digest = content_address(data)
        temporary, path = self._incoming / digest, self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT)
        os.replace(temporary, path)
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            os.write(fd, half)
            reach("blob_mid_write")
        os.fsync(fd)
        return StoredBlob(digest, len(data), now())


async def write(blobs: LocalBlobs, fault: str) -> None:
    for number in range(BLOBS):
        data = content(number)
        if fault == "acknowledges_early":
            say("ack", content_address(data), len(data))
        stored = await blobs.put(pieces(data))
        if fault != "acknowledges_early":
            say("ack", stored.digest, stored.size)


REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "mkdir")}
NAMES: dict[int, str] = {}


def tell_steps() -> None:
    """Puts a shim before the system calls that decide what a power cut leaves."""

    def opened(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        fd: int = REAL["open"](path, flags, *rest, **more)
        NAMES[fd] = os.fspath(path)
        if flags & os.O_CREAT:
            say("create", NAMES[fd])
        return fd

    def wrote(fd: int, data: Any) -> int:
        count: int = REAL["write"](fd, data)
        say("write", NAMES[fd], count)
        return count

    def synced(fd: int) -> None:
        REAL["fsync"](fd)
        say("sync", NAMES[fd])

    def replaced(source: Any, target: Any) -> None:
        REAL["replace"](source, target)
        say("rename", os.fspath(source), os.fspath(target))
        NAMES.update({fd: os.fspath(target) for fd, name in NAMES.items() if name == os.fspath(source)})

    def made(path: Any, *rest: Any, **more: Any) -> None:
        REAL["mkdir"](path, *rest, **more)
        say("create", os.fspath(path))

    os.open, os.write, os.fsync, os.replace, os.mkdir = opened, wrote, synced, replaced, made  # type: ignore[assignment]


def skip_sync(skip: Callable[[int], bool]) -> None:
    honest = os.fsync
    os.fsync = functools.wraps(honest)(lambda fd: None if skip(fd) else honest(fd))  # type: ignore[assignment,arg-type]


def main(folder: str, fault: str, trace: bool) -> None:
    if trace:
        tell_steps()
    if fault == "skips_sync_of_files":
        skip_sync(lambda fd: stat.S_ISREG(os.fstat(fd).st_mode))
    if fault == "skips_sync_of_folders":
        skip_sync(lambda fd: stat.S_ISDIR(os.fstat(fd).st_mode))
    store = RenamesFirst if fault == "renames_first" else LocalBlobs
    asyncio.run(write(store(Path(folder)), fault))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "trace" in sys.argv[3:])
