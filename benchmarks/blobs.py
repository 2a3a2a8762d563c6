"""How fast bytes go into a store of blobs and out of it: one of 256 MiB, and 500 of 1 KiB sixteen at a time.

Beside it a bare copy of the same bytes: written, synced, read and hashed without a store.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from benchmarks.figures import Figure, run_script
from benchmarks.processes import folder
from tilth.backends.blobs import open_blobs
from tilth.core.ports import Blobs

MIB = 1 << 20


def measure(quick: bool) -> list[Figure]:
    count, little = (16, 50) if quick else (256, 500)
    block = os.urandom(MIB)
    with folder() as place:
        bare_put, bare_get = bare_copy(place, block, count)
        blobs = open_blobs(str(place / "blobs"))
        before = peak_mb()
        put, get = asyncio.run(large(blobs, block, count))
        grown = peak_mb() - before
        seconds = asyncio.run(small(blobs, little))
        bare_seconds = bare_small(place, little)
    megabytes, peer = count * MIB / 1e6, "bare file"
    note = f"peak memory grew by {grown:.0f} MB"
    return [
        Figure(f"put a blob of {count} MiB", "MB/s", megabytes / put, None, peer, megabytes / bare_put, True, note),
        Figure(f"get a blob of {count} MiB, verified", "MB/s", megabytes / get, None, peer, megabytes / bare_get, True),
        Figure("put blobs of 1 KiB", "/s", little / seconds, None, f"{peer}s, synced", little / bare_seconds, True),
    ]


async def pieces(block: bytes, count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield number.to_bytes(8, "big") + block[8:]


def bare_copy(place: Path, block: bytes, count: int) -> tuple[float, float]:
    """Seconds to write, hash and sync one file, and to read and hash it."""
    started = perf_counter()
    seen = hashlib.sha256()
    with (place / "bare").open("wb", buffering=0) as file:
        for number in range(count):
            piece = number.to_bytes(8, "big") + block[8:]
            seen.update(piece)
            file.write(piece)
        os.fsync(file.fileno())
    written = perf_counter()
    with (place / "bare").open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return written - started, perf_counter() - written


def bare_small(place: Path, count: int) -> float:
    """Seconds to write and sync `count` files of 1 KiB, one after the other."""
    started = perf_counter()
    for number in range(count):
        with (place / f"bare-{number}").open("wb", buffering=0) as file:
            file.write(os.urandom(1024))
            os.fsync(file.fileno())
    return perf_counter() - started


async def large(blobs: Blobs, block: bytes, count: int) -> tuple[float, float]:
    started = perf_counter()
    stored = await blobs.put(pieces(block, count))
    written = perf_counter()
    async for _ in blobs.open(stored.digest):
        pass
    return written - started, perf_counter() - written


async def small(blobs: Blobs, count: int) -> float:
    """Seconds for `count` blobs of 1 KiB, 16 at a time."""
    gate = asyncio.Semaphore(16)

    async def one() -> None:
        async with gate:
            await blobs.put(pieces(os.urandom(1024), 1))

    started = perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return perf_counter() - started


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(run_script("blobs", __doc__ or "", measure))
