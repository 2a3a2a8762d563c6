"""Puts a large blob into the store at argv[1] and reads it back; prints by how many MiB the process grew."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator

from tilth.backends.blobs import open_blobs

MIB = 1 << 20


async def pieces(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield number.to_bytes(8, "big") * (MIB // 8)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def main(location: str, mib: int) -> None:
    blobs = open_blobs(location)
    small = await blobs.put(pieces(1))
    assert sum([len(piece) async for piece in blobs.open(small.digest)]) == MIB
    before = peak()
    stored = await blobs.put(pieces(mib))
    assert sum([len(piece) async for piece in blobs.open(stored.digest)]) == mib * MIB
    sys.stdout.write(f"{peak() - before}\n")


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
