"""Content-addressed bytes in a local folder.

    <folder>/ab/cd/abcd...   one file per blob, named by its digest; its modification time is the moment it was touched
    <folder>/incoming/<id>   bytes on their way in; locked by the process that writes them
    <folder>/.lock           held shared while a blob appears, exclusively while one is removed

A blob appears by rename after its bytes are synced, and `put` returns after the folder is synced, so neither a kill nor a power cut
leaves a partial blob under a digest, nor takes an acknowledged one away.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tilth.backends.blobs.pieces import bounded, check_digest, check_match, check_stored, clip, in_thread
from tilth.core.clock import Clock, Millis, now
from tilth.core.errors import Denied, OutOfSpace, Unavailable
from tilth.core.hashing import CHUNK_BYTES, is_digest
from tilth.core.ids import Digest, new_id
from tilth.core.killpoints import reach
from tilth.core.ports import BlobDamaged, BlobMissing, StoredBlob

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderRefused(Denied):
    """The operating system does not let Tilth write into, or read, the folder of blobs."""


class FolderUnavailable(Unavailable):
    """The disk below the folder of blobs answered with an error."""


class LocalBlobs:
    """Blobs in `folder`, which is made if it is not there.

    Several processes of one machine may share it; a network file system may not hold it, since its locks and syncs promise less.
    """

    def __init__(self, folder: Path, *, clock: Clock = now) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._clock = clock
        self._synced_shards: set[Path] = set()
        with _told(folder):
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(PermissionError):  # A parent that is not ours to read was not made by us either.
                _sync_folder(folder.absolute().parent)
            self._sweep(self._clock())

    async def put(
        self, pieces: AsyncIterator[bytes], *, expect: Digest | None = None, max_bytes: int | None = None
    ) -> StoredBlob:
        if expect is not None:
            check_digest(expect)
        upload = _Upload(self._incoming)
        held: list[bytes] = []
        held_bytes = 0
        try:
            async for piece in bounded(pieces, max_bytes):
                held.append(piece)
                held_bytes += len(piece)
                if held_bytes >= CHUNK_BYTES:
                    await in_thread(partial(self._receive, upload, held))
                    held, held_bytes = [], 0
            # The rest is written by the job that keeps the blob: a small one costs a single hop to a thread.
            return await in_thread(partial(self._keep, upload, held, expect))
        finally:
            upload.discard()

    async def open(self, digest: Digest, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        with ExitStack() as opened:
            # The thread itself hands the file over: a reader who goes away meanwhile would otherwise leave it open.
            file, size = await in_thread(partial(self._open_file, digest, opened))
            position, end = clip(start, end, size)
            seen = hashlib.sha256() if (position, end) == (0, size) else None
            file.seek(position)
            while position < end:
                piece = await in_thread(partial(self._read, file, min(CHUNK_BYTES, end - position), digest, seen))
                position += len(piece)
                if seen is not None and position == end:
                    check_stored(seen.hexdigest(), digest, "the local folder")
                yield piece
            if seen is not None and size == 0:
                check_stored(seen.hexdigest(), digest, "the local folder")

    async def stat(self, digest: Digest) -> StoredBlob:
        return await in_thread(partial(self._stat, digest))

    async def signed_address(self, digest: Digest, *, seconds: int) -> str | None:
        check_digest(digest)
        return None

    def scan(self) -> Iterator[StoredBlob]:
        with _told(self._folder):
            for outer in _subfolders(self._folder):
                for inner in _subfolders(outer):
                    for name in sorted(os.listdir(inner)):
                        if is_digest(name) and name.startswith(outer.name + inner.name):
                            with suppress(BlobMissing):  # Removed since the folder was listed.
                                yield self._stat(Digest(name))

    async def delete(self, digest: Digest, *, untouched_since: Millis) -> bool:
        return await in_thread(partial(self._delete, digest, untouched_since))

    async def sweep(self, *, untouched_since: Millis) -> int:
        return await in_thread(partial(self._sweep, untouched_since))

    # What follows blocks and runs in worker threads.

    def _receive(self, upload: _Upload, held: list[bytes]) -> None:
        with _told(self._folder):
            if not upload.begun:
                # A sweep takes a file that nobody has locked for a dead one; the shared lock keeps it out until ours is locked.
                with self._lock(fcntl.LOCK_SH):
                    upload.begin()
            for piece in held:
                upload.write(piece)

    def _keep(self, upload: _Upload, held: list[bytes], expect: Digest | None) -> StoredBlob:
        self._receive(upload, held)
        digest = Digest(upload.hash.hexdigest())
        check_match(digest, expect)
        path = self._path(digest)
        with _told(self._folder):
            touched = self._clock()
            upload.sync(touched)
            reach("blob_after_fsync")
            self._make_shard(path.parent)
            with self._lock(fcntl.LOCK_SH):
                reach("blob_before_rename")
                # Also over a blob that is there: that touches it, and mends it if it was damaged.
                upload.rename(path)
                reach("blob_after_rename")
            _sync_folder(path.parent)
            reach("blob_after_folder_fsync")
        return StoredBlob(digest, upload.size, touched)

    def _make_shard(self, shard: Path) -> None:
        """Makes the folder of a shard, durably. Folders that this process has not synced itself are synced, whoever made them:
        another put may have made them and not have come to its sync yet."""
        if shard in self._synced_shards:
            return
        shard.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(shard.parent)
        _sync_folder(self._folder)
        self._synced_shards.add(shard)

    def _open_file(self, digest: Digest, opened: ExitStack) -> tuple[BinaryIO, int]:
        path = self._path(digest)
        with _told(self._folder):
            try:
                file = opened.enter_context(path.open("rb", buffering=0))
            except FileNotFoundError:
                raise _missing(digest) from None
            return file, os.fstat(file.fileno()).st_size

    def _read(self, file: BinaryIO, at_most: int, digest: Digest, seen: hashlib._Hash | None) -> bytes:
        with _told(self._folder):
            piece = file.read(at_most)
        if not piece:
            raise BlobDamaged(
                f"the file of blob {digest} became shorter while it was read: something else writes into the folder of blobs"
            )
        if seen is not None:
            seen.update(piece)
        return piece

    def _stat(self, digest: Digest) -> StoredBlob:
        path = self._path(digest)
        with _told(self._folder):
            try:
                found = path.stat()
            except FileNotFoundError:
                raise _missing(digest) from None
        return StoredBlob(digest, found.st_size, Millis(found.st_mtime_ns // 1_000_000))

    def _delete(self, digest: Digest, untouched_since: Millis) -> bool:
        path = self._path(digest)
        with _told(self._folder), self._lock(fcntl.LOCK_EX):
            try:
                if self._stat(digest).touched > untouched_since:
                    return False
            except BlobMissing:
                return True
            # Not synced: a blob that a power cut brings back is collected again.
            path.unlink()
            return True

    def _sweep(self, untouched_since: Millis) -> int:
        removed = 0
        with _told(self._folder), self._lock(fcntl.LOCK_EX):
            for path in self._incoming.iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime_ns // 1_000_000 <= untouched_since and _is_abandoned(path):
                        path.unlink()
                        removed += 1
        return removed

    def _path(self, digest: Digest) -> Path:
        """Raises NotADigest, so that no other text ever reaches the file system."""
        check_digest(digest)
        return self._folder / digest[:2] / digest[2:4] / digest

    @contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        fd = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)


class _Upload:
    """One file on its way in. Not there before `begin`, gone after `discard` unless it was renamed."""

    def __init__(self, incoming: Path) -> None:
        self._path = incoming / new_id()
        self._fd = -1
        self._renamed = False
        self.hash = hashlib.sha256()
        self.size = 0

    @property
    def begun(self) -> bool:
        return self._fd >= 0

    def begin(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def write(self, piece: bytes) -> None:
        self.hash.update(piece)
        self.size += len(piece)
        left = memoryview(piece)
        while left:
            left = left[os.write(self._fd, left) :]
            reach("blob_mid_write")

    def sync(self, touched: Millis) -> None:
        os.utime(self._fd, ns=(touched * 1_000_000, touched * 1_000_000))
        os.fsync(self._fd)

    def rename(self, path: Path) -> None:
        os.replace(self._path, path)
        self._renamed = True

    def discard(self) -> None:
        if not self.begun:
            return
        if not self._renamed:
            with suppress(OSError):  # What cannot be removed now is swept at the next start.
                os.unlink(self._path)
        os.close(self._fd)
        self._fd = -1


def _is_abandoned(path: Path) -> bool:
    """True if no living process writes to the file: the lock of a process ends with it."""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def _subfolders(folder: Path) -> list[Path]:
    """The shards below `folder`, sorted: folders named by two hexadecimal digits."""
    names = sorted(os.listdir(folder))
    return [folder / name for name in names if len(name) == 2 and all(c in "0123456789abcdef" for c in name)]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _missing(digest: Digest) -> BlobMissing:
    return BlobMissing(
        f"no bytes are stored as {digest}: they were never uploaded here, or were collected after nothing used them any more"
    )


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turns errors of the file system into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OutOfSpace(
                f"no space left for the folder of blobs {folder} ({error.strerror}); nothing was kept. Free space, then retry"
            ) from error
        if error.errno in _REFUSED:
            raise FolderRefused(
                f"the folder of blobs {folder} may not be used ({error.strerror}): "
                "give the user that runs Tilth the right to read and write it"
            ) from error
        raise FolderUnavailable(
            f"the folder of blobs {folder} cannot be used now ({error.strerror or error}): check its disk, then retry"
        ) from error
