"""Content-addressed bytes in an object store (S3, Google Cloud Storage, Azure), through obstore.

    <prefix>/sha256/<digest>             one object per blob; the store's own time of writing is the moment it was touched
    <prefix>/incoming/<id>               large uploads whose digest is not known before their last byte
    <prefix>/condemned/<digest>/<id>     somebody is about to delete this blob

An object store has no lock. So that a blob is never deleted under a `put` that is just acknowledging it, each side leaves a trace before
it looks for the other's: the deleter writes `condemned/`, then looks whether the blob was touched; the putter writes the blob, then
looks for `condemned/`, then whether the blob is still there. Stores that list and read what was just written (all of the three do)
then always show one of them the other.

An upload that ends by a kill or a cancellation may leave parts that no listing shows: give the bucket a lifecycle rule that removes
incomplete multipart uploads.
"""

from __future__ import annotations

import atexit
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING

from tilth.backends.blobs.pieces import bounded, check_digest, check_match, check_stored, clip
from tilth.core.clock import MINUTE, Millis
from tilth.core.errors import Denied, Invalid, OutOfSpace, TilthError, Unavailable
from tilth.core.hashing import CHUNK_BYTES, content_address
from tilth.core.ids import Digest, new_id
from tilth.core.killpoints import reach
from tilth.core.ports import BlobMissing, StoredBlob

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

PART_BYTES = 8 << 20
MAX_PARTS = 10_000
MAX_COPY_BYTES = 4 << 30
"""Stores copy objects of up to 5 GB by themselves; larger ones travel through this process."""
ABANDONED_AFTER = Millis(15 * MINUTE)
"""A deletion takes seconds, with all its retries a few minutes; a trace of one that is older belongs to a dead process."""

LAST_BREATH_S = 0.25
"""obstore's threads let go of Python's objects shortly after they answered. An interpreter that ends under them is aborted."""

_FULL = ("507 Insufficient Storage", "XMinioStorageFull", "QuotaExceeded")


class MissingExtra(Invalid):
    """An optional library is needed for what the configuration asks for."""


class StoreRefused(Denied):
    """The object store does not accept the credentials of the server, or they do not allow the operation."""


class StoreUnavailable(Unavailable):
    """The object store does not answer, or answers with an error."""


class BlobCondemned(Unavailable):
    """The bytes were put at the very moment at which a collection removed the same, long unused ones."""


class ObjectBlobs:
    """Blobs below `prefix` in a store. An upload takes about 4 parts of memory, whatever its size.

    store: any store of obstore. part_bytes: 5 MiB at least on S3; a blob has at most 10,000 parts, so the default bounds it at 80 GB.
    """

    def __init__(self, store: ObjectStore, prefix: str = "", *, part_bytes: int = PART_BYTES) -> None:
        self._obstore = import_obstore()
        self._store = store
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")
        self._part_bytes = part_bytes

    async def put(
        self, pieces: AsyncIterator[bytes], *, expect: Digest | None = None, max_bytes: int | None = None
    ) -> StoredBlob:
        if expect is not None:
            check_digest(expect)
        most = self._part_bytes * MAX_PARTS
        incoming = bounded(pieces, most if max_bytes is None else min(most, max_bytes))
        head = bytearray()
        async for piece in incoming:
            head += piece
            if len(head) >= self._part_bytes:
                return await self._put_stream(_Tally(bytes(head), incoming, expect))
        data = bytes(head)
        digest = content_address(data)
        check_match(digest, expect)
        with self._told():
            await self._obstore.put_async(self._store, self._key(digest), data, use_multipart=False)
        return await self._acknowledged(digest)

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        key = self._key(digest)
        bounds = None
        if start or end is not None:
            size = (await self.stat(digest)).size
            position, end = clip(start, end, size)
            if (position, end) != (0, size):
                bounds = (position, end)
                if position == end:
                    return
        with self._told(digest):
            found = await self._obstore.get_async(self._store, key, options={"range": bounds} if bounds else {})
            if bounds:
                async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                    yield bytes(piece)
                return
            left = found.meta["size"]
            seen = hashlib.sha256()
            async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                seen.update(piece)
                left -= len(piece)
                if left <= 0:
                    check_stored(seen.hexdigest(), digest, "the object store")
                yield bytes(piece)
        check_stored(seen.hexdigest(), digest, "the object store")

    async def stat(self, digest: Digest) -> StoredBlob:
        key = self._key(digest)
        with self._told(digest):
            meta = await self._obstore.head_async(self._store, key)
        return StoredBlob(digest, meta["size"], _touched(meta))

    async def signed_address(self, digest: Digest, *, seconds: int) -> str | None:
        key = self._key(digest)
        with self._told():
            signed: str = await self._obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))
        return signed

    def scan(self) -> Iterator[StoredBlob]:
        with self._told():
            for page in self._obstore.list(self._store, f"{self._prefix}sha256", chunk_size=1000):
                for meta in page:
                    name = meta["path"].rpartition("/")[2]
                    if meta["path"] == f"{self._prefix}sha256/{name}" and len(name) == 64:
                        yield StoredBlob(Digest(name), meta["size"], _touched(meta))

    async def delete(self, digest: Digest, *, untouched_since: Millis) -> bool:
        if not await self._untouched(digest, untouched_since):
            return await self._gone(digest)
        async with self._condemning(digest):
            # Looked at again: a put that came between may have seen no trace of us, and then has touched the blob before we wrote it.
            if await self._untouched(digest, untouched_since):
                await self._remove(self._key(digest))
        return await self._gone(digest)

    async def sweep(self, *, untouched_since: Millis) -> int:
        removed = 0
        for folder in ("incoming", "condemned"):
            for meta in await self._listed(folder):
                if _touched(meta) <= untouched_since:
                    await self._remove(meta["path"])
                    removed += 1
        return removed

    async def _put_stream(self, tally: _Tally) -> StoredBlob:
        if tally.expect is not None:
            # A mismatch is raised by the stream before its end, so the upload is never completed under the digest.
            await self._upload(self._key(tally.expect), tally)
            return await self._acknowledged(tally.expect)
        temporary = f"{self._prefix}incoming/{new_id()}"
        try:
            await self._upload(temporary, tally)
            digest = tally.digest
            reach("blob_before_rename")
            with self._told():
                if tally.size <= MAX_COPY_BYTES:
                    await self._obstore.copy_async(self._store, temporary, self._key(digest), overwrite=True)
                else:
                    await self._send(self._key(digest), await self._obstore.get_async(self._store, temporary))
            reach("blob_after_rename")
        finally:
            if tally.complete:
                with suppress(TilthError):  # What cannot be removed now is swept later.
                    await self._remove(temporary)
        return await self._acknowledged(digest)

    async def _upload(self, key: str, tally: _Tally) -> None:
        try:
            with self._told():
                await self._send(key, tally.run())
        except TilthError:
            # An error of the sender's side that looks like one of the store's, such as a file that is not there, stays what it is.
            if tally.failure is not None:
                raise tally.failure from None
            raise

    async def _send(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        await self._obstore.put_async(
            self._store, key, pieces, chunk_size=self._part_bytes, max_concurrency=2, use_multipart=True
        )

    async def _acknowledged(self, digest: Digest) -> StoredBlob:
        """What the store knows of the blob just written, once it is certain that no deletion under way takes it. Raises BlobCondemned."""
        traces = await self._listed(f"condemned/{digest}")
        try:
            stored = await self.stat(digest)
        except BlobMissing:
            stored = None
        # Both moments are of the store's clock, so that ours does not matter.
        if stored is None or any(stored.touched - _touched(trace) < ABANDONED_AFTER for trace in traces):
            raise BlobCondemned(
                f"unused bytes with the same content ({digest}) are being collected just now; send the file again"
            )
        return stored

    @asynccontextmanager
    async def _condemning(self, digest: Digest) -> AsyncIterator[None]:
        # A trace of our own: had two deleters one between them, the first to finish would take it from the other.
        trace = f"{self._prefix}condemned/{digest}/{new_id()}"
        with self._told():
            await self._obstore.put_async(self._store, trace, b"", use_multipart=False)
        try:
            yield
        finally:
            await self._remove(trace)

    async def _untouched(self, digest: Digest, since: Millis) -> bool:
        try:
            return (await self.stat(digest)).touched <= since
        except BlobMissing:
            return False

    async def _gone(self, digest: Digest) -> bool:
        try:
            await self.stat(digest)
        except BlobMissing:
            return True
        return False

    async def _remove(self, key: str) -> None:
        try:
            with self._told():
                await self._obstore.delete_async(self._store, key)
        except BlobMissing:
            return  # Some stores report the deletion of what is gone, S3 does not.

    async def _listed(self, folder: str) -> list[ObjectMeta]:
        with self._told():
            return [
                meta
                async for page in self._obstore.list(self._store, f"{self._prefix}{folder}", chunk_size=1000)
                for meta in page
            ]

    def _key(self, digest: Digest) -> str:
        return f"{self._prefix}sha256/{check_digest(digest)}"

    @contextmanager
    def _told(self, digest: Digest | None = None) -> Iterator[None]:
        """Turns errors of obstore into errors that say what to do."""
        errors = self._obstore.exceptions
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise StoreUnavailable("the bucket does not exist: create it, or correct the location of the blobs") from error
            raise BlobMissing(
                f"no bytes are stored as {digest}: never uploaded here, or collected after nothing used them"
            ) from error
        except (PermissionError, errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise StoreRefused(
                "the object store refused the server's credentials: check that they are valid and may read, write, list and delete "
                f"in this bucket ({_first_line(error)})"
            ) from error
        except errors.BaseError as error:
            if any(mark in str(error) for mark in _FULL):
                raise OutOfSpace(
                    f"the object store is full; nothing was kept. Raise its quota or free space, then retry ({_first_line(error)})"
                ) from error
            raise StoreUnavailable(
                f"the object store did not do what was asked: check that its endpoint can be reached, then retry ({_first_line(error)})"
            ) from error


class _Tally:
    """A stream that counts and hashes what runs through it, and remembers what broke it."""

    def __init__(self, head: bytes, rest: AsyncIterator[bytes], expect: Digest | None) -> None:
        self._head = head
        self._rest = rest
        self._hash = hashlib.sha256()
        self.expect = expect
        self.size = 0
        self.complete = False
        self.failure: Exception | None = None

    @property
    def digest(self) -> Digest:
        return Digest(self._hash.hexdigest())

    async def run(self) -> AsyncIterator[bytes]:
        """Raises DigestMismatch after the last piece, if another digest was expected."""
        try:
            yield self._counted(self._head)
            self._head = b""
            async for piece in self._rest:
                if piece:
                    yield self._counted(piece)
                    reach("blob_mid_write")
            check_match(self.digest, self.expect)
        except Exception as failure:
            self.failure = failure
            raise
        self.complete = True

    def _counted(self, piece: bytes) -> bytes:
        self._hash.update(piece)
        self.size += len(piece)
        return piece


@lru_cache(maxsize=1)
def import_obstore() -> ModuleType:
    """Raises MissingExtra."""
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise MissingExtra(
            "blobs in an object store need the library obstore: install it with `pip install 'path/to/the/clone[s3]'`"
        ) from error
    atexit.register(time.sleep, LAST_BREATH_S)
    return obstore


def _touched(meta: ObjectMeta) -> Millis:
    """The latest moment at which the object may have been written. Some answers of a store count whole seconds, others finer:
    brought to one form, the moments of a listing and of a single object compare."""
    return Millis(int(meta["last_modified"].timestamp()) * 1000 + 999)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
