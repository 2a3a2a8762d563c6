"""Collection takes what nobody uses, and nothing else, whatever happens at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from tilth.app.collection import (
    GRACE,
    CollectionPlan,
    CollectionReport,
    DeleteBlob,
    GraceTooShort,
    collect,
    execute,
    is_unused,
    plan_collection,
    plan_page,
)
from tilth.backends.blobs.local import LocalBlobs
from tilth.backends.sql import Database, blob_use, create_tables, open_database
from tilth.core.clock import HOUR, Millis
from tilth.core.hashing import content_address
from tilth.core.ids import Digest, ProjectId
from tilth.core.ports import BlobMissing, StoredBlob

FARM = ProjectId("0" * 32)
MILL = ProjectId("1" * 32)
START = Millis(1_000_000_000_000)


class Ground:
    """A database, a store and a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        url = f"sqlite:///{folder / 'tilth.db'}"
        create_tables(url)
        self.db: Database = open_database(url)
        self.blobs = LocalBlobs(folder / "blobs", clock=self.clock)

    def clock(self) -> Millis:
        return self.now

    def wait(self, span: int) -> None:
        self.now = Millis(self.now + span)

    async def put(self, data: bytes) -> StoredBlob:
        async def pieces() -> AsyncIterator[bytes]:
            yield data

        return await self.blobs.put(pieces())

    async def claim(self, digest: Digest, project: ProjectId = FARM) -> None:
        await self.db.write(lambda tx: blob_use.claim(tx, project, digest, 4))

    async def release(self, digest: Digest, project: ProjectId = FARM) -> None:
        await self.db.write(lambda tx: blob_use.release(tx, project, digest))

    async def collect(self) -> CollectionReport:
        return await collect(self.db, self.blobs, self.clock)

    async def has(self, digest: Digest) -> bool:
        try:
            await self.blobs.stat(digest)
        except BlobMissing:
            return False
        return True


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = Ground(tmp_path)
    yield ground
    ground.db.close()


def test_a_page_is_planned_by_use_and_age() -> None:
    used, young, old = (
        StoredBlob(content_address(name), 4, Millis(touched)) for name, touched in ((b"u", 1), (b"y", 9), (b"o", 8))
    )
    plan = plan_page([used, young, old], {used.digest}, Millis(9))
    assert plan == CollectionPlan((DeleteBlob(old.digest, 4, Millis(8)),), used=1, young=1)


def test_a_plan_reads_as_a_list_of_what_would_go() -> None:
    plan = CollectionPlan((DeleteBlob(Digest("ab" * 32), 1234, START),), used=3, young=2)
    assert str(plan).splitlines() == [
        f"delete {'ab' * 32} (1,234 bytes, unused, last touched 2001-09-09T01:46:40.000Z)",
        "1 blobs to delete (1,234 bytes); 3 in use and 2 touched lately stay",
    ]


def test_only_unused_bytes_past_the_grace_period_go(ground: Ground) -> None:
    async def scene() -> None:
        used, shared, unused = [(await ground.put(data)).digest for data in (b"used", b"both", b"nobody")]
        await ground.claim(used)
        await ground.claim(shared, FARM)
        await ground.claim(shared, MILL)
        await ground.release(shared, FARM)
        ground.wait(GRACE + 1)
        young = (await ground.put(b"young")).digest
        assert await ground.collect() == CollectionReport(deleted=1, freed=6, spared=0, swept=0)
        assert [await ground.has(digest) for digest in (used, shared, unused, young)] == [True, True, False, True]

    asyncio.run(scene())


def test_released_bytes_go_with_their_last_use(ground: Ground) -> None:
    async def scene() -> None:
        digest = (await ground.put(b"leaf")).digest
        for project in (FARM, MILL):
            await ground.claim(digest, project)
        ground.wait(GRACE + 1)
        await ground.release(digest, FARM)
        assert (await ground.collect()).deleted == 0
        await ground.release(digest, MILL)
        assert (await ground.collect()).deleted == 1

    asyncio.run(scene())


def test_a_plan_alone_deletes_nothing(ground: Ground) -> None:
    async def scene() -> None:
        stored = await ground.put(b"leaf")
        ground.wait(GRACE + 1)
        plan = await plan_collection(ground.db, ground.blobs, ground.clock)
        assert plan.steps == (DeleteBlob(stored.digest, 4, stored.touched),)
        assert await ground.has(stored.digest)

    asyncio.run(scene())


def test_more_blobs_than_a_page_are_all_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilth.app.collection._PAGE_BLOBS", 7)

    async def scene() -> None:
        for number in range(20):
            stored = await ground.put(b"blob %d" % number)
            if number % 2:
                await ground.claim(stored.digest)
        ground.wait(GRACE + 1)
        report = await ground.collect()
        assert (report.deleted, len(list(ground.blobs.scan()))) == (10, 10)

    asyncio.run(scene())


def test_what_is_claimed_or_put_after_the_plan_is_spared(ground: Ground) -> None:
    async def scene() -> None:
        claimed, put_again, unused = [(await ground.put(data)).digest for data in (b"claimed", b"again", b"unused")]
        ground.wait(GRACE + 1)
        plan = await plan_collection(ground.db, ground.blobs, ground.clock)
        await ground.claim(claimed)
        await ground.put(b"again")
        assert len(plan.steps) == 3
        assert (await execute(plan, ground.db, ground.blobs))[0] == 1
        assert [await ground.has(digest) for digest in (claimed, put_again, unused)] == [True, True, False]

    asyncio.run(scene())


# An upload (put, then claim) and a deletion (last look, then delete) can meet in six ways.
ORDERS = ["".join("U" if place in uploads else "C" for place in range(4)) for uploads in combinations(range(4), 2)]


@pytest.mark.parametrize("order", ORDERS)
def test_in_whatever_order_an_upload_meets_a_collection_its_bytes_are_there(ground: Ground, order: str) -> None:
    async def scene() -> None:
        stored = await ground.put(b"leaf")
        ground.wait(GRACE + 1)
        (step,) = (await plan_collection(ground.db, ground.blobs, ground.clock)).steps
        unused = False

        async def look() -> None:
            nonlocal unused
            unused = await is_unused(step, ground.db)

        async def delete() -> None:
            if unused:
                await ground.blobs.delete(step.digest, untouched_since=step.untouched_since)

        async def put() -> None:
            await ground.put(b"leaf")

        async def claim() -> None:
            await ground.claim(stored.digest)

        turns: dict[str, list[Callable[[], Awaitable[None]]]] = {"U": [claim, put], "C": [delete, look]}
        for turn in order:
            await turns[turn].pop()()
        assert await ground.has(stored.digest)

    asyncio.run(scene())


def test_a_short_grace_period_is_refused(ground: Ground) -> None:
    with pytest.raises(GraceTooShort, match="at least"):
        asyncio.run(plan_collection(ground.db, ground.blobs, ground.clock, Millis(HOUR - 1)))


def test_uploads_under_way_survive_a_sweep_however_old(ground: Ground) -> None:
    async def scene() -> None:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"x" * (2 << 20)
            arrived.set()
            await go_on.wait()
            yield b"y"

        upload = asyncio.create_task(ground.blobs.put(slow()))
        await arrived.wait()
        assert await ground.blobs.sweep(untouched_since=Millis(1 << 60)) == 0
        go_on.set()
        assert await ground.has((await upload).digest)

    asyncio.run(scene())
