"""What every store of blobs promises: one suite over the local folder and over S3 (served by moto on this machine)."""

import asyncio
import hashlib
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from tests.conformance.conftest import S3_KEYS

from tilth.backends.blobs import open_blobs
from tilth.backends.blobs.local import LocalBlobs
from tilth.backends.blobs.objects import BlobCondemned, ObjectBlobs, StoreRefused, StoreUnavailable
from tilth.backends.blobs.pieces import InvalidRange
from tilth.core.clock import Millis
from tilth.core.errors import TooLarge
from tilth.core.hashing import content_address
from tilth.core.ids import Digest
from tilth.core.ports import BlobDamaged, BlobMissing, Blobs, DigestMismatch, NotADigest, StoredBlob

HERE = Path(__file__).parent
MIB = 1 << 20
ABSENT = content_address(b"never stored")


async def stream(data: bytes, piece_bytes: int = 300_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), piece_bytes):
        yield data[at : at + piece_bytes]


async def put(blobs: Blobs, data: bytes, **options: Any) -> StoredBlob:
    return await blobs.put(stream(data), **options)


async def read(blobs: Blobs, digest: Digest, **bounds: Any) -> bytes:
    return b"".join([piece async for piece in blobs.open(digest, **bounds)])


def content(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


@dataclass
class Store:
    """A fresh store, and ways around its front door."""

    location: str
    blobs: Blobs

    def everything(self) -> set[str]:
        """The names of all that lies in the store, whatever it is, but for the lock file."""
        if isinstance(self.blobs, LocalBlobs):
            folder = Path(self.location)
            return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
        assert isinstance(self.blobs, ObjectBlobs)
        pages = obstore.list(self.blobs._store, self.blobs._prefix)
        return {meta["path"].rpartition("/")[2] for page in pages for meta in page}

    def overwrite(self, digest: Digest, data: bytes) -> None:
        if isinstance(self.blobs, LocalBlobs):
            (Path(self.location) / digest[:2] / digest[2:4] / digest).write_bytes(data)
        else:
            assert isinstance(self.blobs, ObjectBlobs)
            obstore.put(self.blobs._store, self.blobs._key(digest), data)


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in S3_KEYS.items():
        monkeypatch.setenv(name, value)
    location = f"s3://tilth-blobs/team/{uuid.uuid4().hex}?endpoint={s3_endpoint}&region=us-east-1"
    return Store(location, open_blobs(location))


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store(str(tmp_path / "blobs"), open_blobs(str(tmp_path / "blobs")))
    found: Store = request.getfixturevalue("s3")
    return found


@pytest.mark.parametrize("size", [0, 1, 299_999, MIB, 3 * MIB + 17, 20 * MIB + 1])
def test_what_was_put_is_read_back(store: Store, size: int) -> None:
    async def scene() -> None:
        data = content(size)
        stored = await put(store.blobs, data)
        assert (stored.digest, stored.size) == (content_address(data), size)
        assert await read(store.blobs, stored.digest) == data
        assert await store.blobs.stat(stored.digest) == stored
        assert store.everything() == {stored.digest}

    asyncio.run(scene())


def test_another_opening_of_the_same_place_finds_the_blob(store: Store) -> None:
    stored = asyncio.run(put(store.blobs, b"rain"))
    assert asyncio.run(read(open_blobs(store.location), stored.digest)) == b"rain"


def test_a_large_stream_takes_little_memory_both_ways(store: Store) -> None:
    command = [sys.executable, str(HERE / "blob_memory.py"), store.location, "96"]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 48  # MiB, of 96


@pytest.mark.parametrize("size", [10, 20 * MIB])
def test_bytes_of_another_digest_than_announced_are_not_kept(store: Store, size: int) -> None:
    with pytest.raises(DigestMismatch, match="nothing was kept"):
        asyncio.run(put(store.blobs, content(size), expect=ABSENT))
    assert store.everything() == set()


@pytest.mark.parametrize("size", [10, 20 * MIB])
def test_bytes_of_the_announced_digest_are_kept(store: Store, size: int) -> None:
    data = content(size)
    asyncio.run(put(store.blobs, data, expect=content_address(data)))
    assert store.everything() == {content_address(data)}


@pytest.mark.parametrize(("size", "limit"), [(11, 10), (20 * MIB, 20 * MIB - 1)])
def test_more_bytes_than_allowed_are_refused_and_not_kept(store: Store, size: int, limit: int) -> None:
    with pytest.raises(TooLarge, match=f"{limit:,} bytes"):
        asyncio.run(put(store.blobs, content(size), max_bytes=limit))
    assert store.everything() == set()


def test_exactly_as_many_bytes_as_allowed_are_kept(store: Store) -> None:
    assert asyncio.run(put(store.blobs, b"0123456789", max_bytes=10)).size == 10


class Broken(Exception):
    pass


@pytest.mark.parametrize("error", [Broken, FileNotFoundError])
@pytest.mark.parametrize("whole", [0, 30, 20 * MIB])
def test_a_stream_that_breaks_leaves_nothing_and_its_error_comes_through(
    store: Store, whole: int, error: type[Exception]
) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        async for piece in stream(content(whole)):
            yield piece
        raise error("the line went dead")

    with pytest.raises(error, match="the line went dead"):
        asyncio.run(store.blobs.put(breaking()))
    assert store.everything() == set()


def test_a_put_that_is_cancelled_leaves_nothing(store: Store) -> None:
    async def scene() -> None:
        sent = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            async for piece in stream(content(10 * MIB)):
                yield piece
            sent.set()
            await asyncio.sleep(3600)

        upload = asyncio.create_task(store.blobs.put(endless()))
        await sent.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload

    asyncio.run(scene())
    assert store.everything() == set()


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 5), (5, 9), (MIB - 3, MIB + 4), (2 * MIB, None), (0, None), (7, 7), (3 * MIB - 1, 9 * MIB), (9 * MIB, None)],
)
def test_a_range_is_cut_as_a_slice_is(store: Store, start: int, end: int | None) -> None:
    data = content(3 * MIB)
    stored = asyncio.run(put(store.blobs, data))
    assert asyncio.run(read(store.blobs, stored.digest, start=start, end=end)) == data[start:end]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4)])
def test_a_range_that_is_none_is_refused(store: Store, start: int, end: int | None) -> None:
    stored = asyncio.run(put(store.blobs, b"0123456789"))
    with pytest.raises(InvalidRange):
        asyncio.run(read(store.blobs, stored.digest, start=start, end=end))


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "longer"])
def test_damaged_bytes_are_found_before_the_last_piece_is_handed_out(store: Store, damage: str) -> None:
    data = content(2 * MIB + 5)
    digest = asyncio.run(put(store.blobs, data)).digest
    flipped = data[:MIB] + bytes([data[MIB] ^ 1]) + data[MIB + 1 :]
    store.overwrite(digest, {"flipped": flipped, "cut": data[:-1], "emptied": b"", "longer": data + b"!"}[damage])
    handed_out = bytearray()

    async def scene() -> None:
        async for piece in store.blobs.open(digest):
            handed_out.extend(piece)

    with pytest.raises(BlobDamaged, match=digest):
        asyncio.run(scene())
    assert len(handed_out) <= 2 * MIB + 4


def test_an_upload_of_the_same_bytes_mends_a_damaged_blob(store: Store) -> None:
    digest = asyncio.run(put(store.blobs, b"good")).digest
    store.overwrite(digest, b"evil")
    asyncio.run(put(store.blobs, b"good"))
    assert asyncio.run(read(store.blobs, digest)) == b"good"


def test_what_was_never_put_is_missing(store: Store) -> None:
    for action in (read(store.blobs, ABSENT), read(store.blobs, ABSENT, start=1, end=2), store.blobs.stat(ABSENT)):
        with pytest.raises(BlobMissing, match=ABSENT):
            asyncio.run(action)
    assert asyncio.run(store.blobs.delete(ABSENT, untouched_since=Millis(0))) is True


def test_the_same_bytes_put_by_many_at_once_are_stored_once(store: Store) -> None:
    async def scene() -> set[Digest]:
        return {blob.digest for blob in await asyncio.gather(*(put(store.blobs, content(2 * MIB)) for _ in range(8)))}

    digests = asyncio.run(scene())
    assert store.everything() == digests == {content_address(content(2 * MIB))}


def test_a_signed_address_hands_out_one_blob_for_a_while_or_there_is_none(store: Store) -> None:
    async def scene() -> str | None:
        await put(store.blobs, b"0123456789")
        return await store.blobs.signed_address(content_address(b"0123456789"), seconds=90)

    address = asyncio.run(scene())
    if isinstance(store.blobs, LocalBlobs):
        assert address is None
        return
    assert address is not None
    assert (content_address(b"0123456789") in address, "X-Amz-Expires=90&" in address) == (True, True)
    assert httpx.get(address).content == b"0123456789"
    part = httpx.get(address, headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")


def test_no_address_is_signed_for_what_is_no_digest(store: Store) -> None:
    with pytest.raises(NotADigest):
        asyncio.run(store.blobs.signed_address(Digest("../condemned"), seconds=90))


def test_a_scan_shows_every_blob_in_order_of_digest(store: Store) -> None:
    async def scene() -> list[StoredBlob]:
        return [await put(store.blobs, b"blob %d" % number) for number in range(30)]

    stored = asyncio.run(scene())
    assert list(store.blobs.scan()) == sorted(stored, key=lambda blob: blob.digest)


def test_an_untouched_blob_is_deleted(store: Store) -> None:
    stored = asyncio.run(put(store.blobs, b"leaf"))
    assert asyncio.run(store.blobs.delete(stored.digest, untouched_since=stored.touched)) is True
    assert store.everything() == set()


def test_a_blob_put_again_is_touched_and_outlives_its_deletion(store: Store) -> None:
    async def scene() -> None:
        first = await put(store.blobs, b"leaf")
        again = await touched_after(store.blobs, first)
        assert await store.blobs.delete(first.digest, untouched_since=first.touched) is False
        assert await read(store.blobs, first.digest) == b"leaf"
        assert await store.blobs.delete(first.digest, untouched_since=again.touched) is True

    asyncio.run(scene())


async def touched_after(blobs: Blobs, first: StoredBlob) -> StoredBlob:
    """Puts `leaf` until the store's clock, which may count whole seconds, has moved on."""
    while (again := await put(blobs, b"leaf")).touched <= first.touched:
        await asyncio.sleep(0.05)
    return again


@pytest.mark.parametrize(
    "text", ["", "..", "../../etc/passwd", "ab" * 31, "AB" * 32, "ab" * 32 + "\n", "/" * 64, "ab/../" + "a" * 58]
)
def test_a_text_that_is_no_digest_never_reaches_the_store(store: Store, text: str) -> None:
    wrong = Digest(text)
    for action in (
        read(store.blobs, wrong),
        read(store.blobs, wrong, start=1),
        store.blobs.stat(wrong),
        store.blobs.delete(wrong, untouched_since=Millis(0)),
        put(store.blobs, b"x", expect=wrong),
    ):
        with pytest.raises(NotADigest, match="64 lower-case"):
            asyncio.run(action)


def test_leftovers_are_swept_and_blobs_are_not(store: Store) -> None:
    stored = asyncio.run(put(store.blobs, b"leaf"))
    if isinstance(store.blobs, LocalBlobs):
        (Path(store.location) / "incoming" / "dead").write_bytes(b"half")
    else:
        assert isinstance(store.blobs, ObjectBlobs)
        obstore.put(store.blobs._store, f"{store.blobs._prefix}incoming/dead", b"half")
    assert asyncio.run(store.blobs.sweep(untouched_since=Millis(stored.touched - 86_400_000))) == 0
    assert asyncio.run(store.blobs.sweep(untouched_since=Millis(stored.touched + 86_400_000))) == 1
    assert store.everything() == {stored.digest}


# The object store alone


class Interrupted(ObjectBlobs):
    """Somebody puts the same bytes between the first look of a deletion and its trace."""

    async def _untouched(self, digest: Digest, since: Millis) -> bool:
        before = await super()._untouched(digest, since)
        if before and not getattr(self, "interrupted", False):
            self.interrupted = True
            await touched_after(self, await self.stat(digest))
        return before


def test_a_put_during_a_deletion_keeps_the_blob(s3: Store) -> None:
    assert isinstance(s3.blobs, ObjectBlobs)
    stored = asyncio.run(put(s3.blobs, b"leaf"))
    deleter = Interrupted(s3.blobs._store, s3.blobs._prefix)
    assert asyncio.run(deleter.delete(stored.digest, untouched_since=stored.touched)) is False
    assert s3.everything() == {stored.digest}


def test_a_put_is_not_acknowledged_while_the_same_bytes_are_being_deleted(s3: Store) -> None:
    async def scene() -> None:
        assert isinstance(s3.blobs, ObjectBlobs)
        stored = await put(s3.blobs, b"leaf")
        async with s3.blobs._condemning(stored.digest):
            with pytest.raises(BlobCondemned, match="send the file again"):
                await put(s3.blobs, b"leaf")
        await put(s3.blobs, b"leaf")

    asyncio.run(scene())


def test_refused_credentials_a_missing_bucket_and_a_dead_endpoint_are_told_apart(s3_endpoint: str, s3: Store) -> None:
    missing = open_blobs(f"s3://no-such-bucket?endpoint={s3_endpoint}&region=us-east-1")
    with pytest.raises(StoreUnavailable, match="bucket does not exist"):
        asyncio.run(put(missing, b"x"))
    with pytest.raises(StoreUnavailable, match="bucket does not exist"):
        asyncio.run(read(missing, ABSENT))
    dead = open_blobs("s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1")
    assert isinstance(dead, ObjectBlobs)
    with pytest.raises(StoreUnavailable, match="endpoint can be reached"):
        asyncio.run(put(dead, b"x"))
    with pytest.raises(StoreRefused, match="credentials"), dead._told():
        raise obstore.exceptions.PermissionDeniedError("403")
