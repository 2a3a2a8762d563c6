"""What both stores do with bytes on their way: bounds, ranges, digests, and file work in threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from tilth.core.errors import Invalid, TooLarge
from tilth.core.hashing import is_digest
from tilth.core.ids import Digest
from tilth.core.ports import BlobDamaged, DigestMismatch, NotADigest

T = TypeVar("T")


class InvalidRange(Invalid):
    """A range of bytes that begins before the first byte, or ends before it begins."""


def check_digest(digest: str) -> Digest:
    """Raises NotADigest. Nothing that fails here may become part of a path or a key."""
    if not is_digest(digest):
        raise NotADigest(f"{digest[:80]!r} is not a digest: give the SHA-256 of the bytes as 64 lower-case hexadecimal digits")
    return Digest(digest)


def check_match(found: Digest, expect: Digest | None) -> None:
    """Raises DigestMismatch."""
    if expect is not None and found != expect:
        raise DigestMismatch(
            f"the bytes received have SHA-256 {found}, announced was {expect}; nothing was kept. "
            "Send the file again, or compute its digest anew if it has changed"
        )


def check_stored(found: str, digest: Digest, store: str) -> None:
    """Raises BlobDamaged."""
    if found != digest:
        raise BlobDamaged(
            f"the bytes stored in {store} as {digest} have SHA-256 {found}: they were damaged after they had been written. "
            "Restore them from a backup, or upload the same file again, which replaces them"
        )


async def bounded(pieces: AsyncIterator[bytes], max_bytes: int | None) -> AsyncIterator[bytes]:
    """The pieces, as long as their sum stays within `max_bytes`. Raises TooLarge before it hands out the piece that goes beyond."""
    total = 0
    async for piece in pieces:
        total += len(piece)
        if max_bytes is not None and total > max_bytes:
            raise TooLarge(
                f"the upload is larger than the {max_bytes:,} bytes allowed here; nothing was kept. Send a smaller file"
            )
        yield piece


def clip(start: int, end: int | None, size: int) -> tuple[int, int]:
    """[start, end) within a blob of `size` bytes, as slices of a sequence do it: what lies beyond the end is left out."""
    if start < 0 or (end is not None and end < start):
        raise InvalidRange(f"bytes {start} to {end} are no range: it begins at 0 or later and ends at or after its beginning")
    return min(start, size), size if end is None else min(end, size)


async def in_thread(job: Callable[[], T]) -> T:
    """Runs blocking work in a worker thread. If the caller is cancelled, the work is waited for before the cancellation goes on.

    Otherwise a clean-up after the cancellation would close a file that the thread still writes to.
    """
    work = asyncio.ensure_future(asyncio.to_thread(job))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            # Whoever streams an answer cancels again and again until the task ends (anyio's scopes do), so once is not enough.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # Fetched, so that asyncio does not report it as forgotten: the cancellation is the news.
        raise
