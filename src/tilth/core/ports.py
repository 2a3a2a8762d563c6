"""What the domains need of the outside world. Each Protocol has two true implementations that pass one conformance suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

from tilth.core.clock import Millis
from tilth.core.errors import Damaged, Invalid, NotFound
from tilth.core.ids import Digest


class BlobMissing(NotFound):
    """No bytes are stored under this digest."""


class BlobDamaged(Damaged):
    """Stored bytes do not have the digest they are stored under. Raised while reading, at the latest with the last piece."""


class DigestMismatch(Invalid):
    """The bytes that arrived do not have the digest that was announced for them; nothing of them was kept."""


class NotADigest(Invalid):
    """A text that is not 64 lower-case hexadecimal digits stands where a digest belongs."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What a store knows of one blob: digest, size in bytes, and when it was last written or asked to be kept."""

    digest: Digest
    size: int
    touched: Millis


class Blobs(Protocol):
    """Content-addressed bytes. A digest that `put` returned is durable: synced, and never seen half-written.

    Memory stays flat whatever the size: bytes travel in pieces of about 1 MiB.
    """

    async def put(
        self, pieces: AsyncIterator[bytes], *, expect: Digest | None = None, max_bytes: int | None = None
    ) -> StoredBlob:
        """Stores the pieces. With `expect`, bytes of another digest are refused (`DigestMismatch`) and nothing is kept.

        Putting what is there already refreshes `touched`, which restarts the grace period of collection.
        Raises TooLarge above `max_bytes`, OutOfSpace when the disk or bucket is full.
        """
        ...

    def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Pieces of bytes [start, end). A whole read is verified (raises BlobDamaged with or before the last piece).

        Raises BlobMissing before the first piece.
        """
        ...

    async def stat(self, digest: Digest) -> StoredBlob:
        """Raises BlobMissing."""
        ...

    async def signed_address(self, digest: Digest, *, seconds: int) -> str | None:
        """Where anybody can read the blob for so long without asking us again; whoever has the address has the bytes.

        None where the store signs nothing. Tells nothing of whether the blob is there, and what is read there is not verified.
        """
        ...

    def scan(self) -> Iterator[StoredBlob]:
        """Every blob, in order of digest; for collection. Blocking: call it from a worker thread."""
        ...

    async def delete(self, digest: Digest, *, untouched_since: Millis) -> bool:
        """Removes the blob unless it was touched after `untouched_since`. True if it is gone."""
        ...

    async def sweep(self, *, untouched_since: Millis) -> int:
        """Removes what interrupted puts left behind, as far as it was last written at or before `untouched_since`. Returns how many."""
        ...
