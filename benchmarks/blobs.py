"""How fast bytes go into a store of blobs and out of it, beside a bare copy of the same bytes (written, synced, read and hashed).

    python benchmarks/blobs.py [--location DIR|s3://...] [--mib 256] [--small 500]

Prints MB/s, blobs per second and the growth of the process's peak memory.
"""

import argparse
import asyncio
import hashlib
import os
import resource
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tilth.backends.blobs import open_blobs
from tilth.core.clock import perf
from tilth.core.ports import Blobs

MIB = 1 << 20


async def pieces(block: bytes, count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield number.to_bytes(8, "big") + block[8:]


def bare_copy(folder: Path, block: bytes, count: int) -> tuple[float, float]:
    """Seconds to write, hash and sync one file, and to read and hash it."""
    started = perf()
    seen = hashlib.sha256()
    with (folder / "bare").open("wb", buffering=0) as file:
        for number in range(count):
            piece = number.to_bytes(8, "big") + block[8:]
            seen.update(piece)
            file.write(piece)
        os.fsync(file.fileno())
    written = perf()
    with (folder / "bare").open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return written - started, perf() - written


async def large(blobs: Blobs, block: bytes, count: int) -> tuple[float, float]:
    started = perf()
    stored = await blobs.put(pieces(block, count))
    written = perf()
    async for _ in blobs.open(stored.digest):
        pass
    return written - started, perf() - written


async def small(blobs: Blobs, count: int) -> float:
    """Seconds for `count` blobs of 1 KiB, 16 at a time."""
    gate = asyncio.Semaphore(16)

    async def one() -> None:
        async with gate:
            await blobs.put(pieces(os.urandom(1024), 1))

    started = perf()
    await asyncio.gather(*(one() for _ in range(count)))
    return perf() - started


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--location")
    options.add_argument("--mib", type=int, default=256)
    options.add_argument("--small", type=int, default=500)
    given = options.parse_args()
    block = os.urandom(MIB)
    with tempfile.TemporaryDirectory() as folder:
        bare_put, bare_get = bare_copy(Path(folder), block, given.mib)
        blobs = open_blobs(given.location or f"{folder}/blobs")
        before = peak_mib()
        put, get = asyncio.run(large(blobs, block, given.mib))
        grown = peak_mib() - before
        seconds = asyncio.run(small(blobs, given.small))
    megabytes = given.mib * MIB / 1e6
    print(f"put {megabytes / put:6.0f} MB/s   bare {megabytes / bare_put:6.0f} MB/s   ratio {bare_put / put:.2f}")
    print(f"get {megabytes / get:6.0f} MB/s   bare {megabytes / bare_get:6.0f} MB/s   ratio {bare_get / get:.2f}")
    print(f"small blobs (1 KiB, 16 at a time): {given.small / seconds:.0f} put/s")
    print(f"peak memory grew by {grown:.0f} MiB for a blob of {given.mib} MiB")


if __name__ == "__main__":
    main()
