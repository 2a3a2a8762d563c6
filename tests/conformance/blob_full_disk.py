"""Puts 8 MiB into the folder argv[1], on a disk that cannot hold them; prints the error's kind and what the folder holds after it."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tilth.backends.blobs.local import LocalBlobs
from tilth.core.errors import TilthError


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(8):
        yield os.urandom(1 << 20)


folder = Path(sys.argv[1])
if sys.argv[2:] == ["limited"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
blobs = LocalBlobs(folder)
try:
    asyncio.run(blobs.put(pieces()))
except TilthError as error:
    sys.stdout.write(f"{error.kind} {sorted(path.name for path in folder.rglob('*') if path.is_file())}")
