"""Collection: removes blobs that no project uses and that nobody has touched for the grace period.

Why it never takes bytes that somebody needs: who claims a blob (a row in `blob_use`) has put it just before, which touches it, or claims
what another row of `blob_use` holds in the same transaction. So a claim that the last look at the database does not show was preceded by
a put, and the store refuses to delete what was touched since it was planned. Only a request that takes longer than the grace
period between its put and its claim could lose its bytes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from itertools import islice

from tilth.backends.blobs.pieces import in_thread
from tilth.backends.sql import Database, Tx, blob_use
from tilth.core.clock import DAY, HOUR, Clock, Millis, iso
from tilth.core.errors import Invalid
from tilth.core.ids import Digest
from tilth.core.ports import Blobs, StoredBlob

GRACE = DAY
LEAST_GRACE = HOUR
_PAGE_BLOBS = 500

log = logging.getLogger(__name__)


class GraceTooShort(Invalid):
    """A grace period in which a slow upload may not have reached its row yet."""


@dataclass(frozen=True, slots=True)
class DeleteBlob:
    """One step of a plan. untouched_since: the moment the blob was last touched when the plan was made; size in bytes."""

    digest: Digest
    size: int
    untouched_since: Millis

    def __str__(self) -> str:
        return f"delete {self.digest} ({self.size:,} bytes, unused, last touched {iso(self.untouched_since)})"


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """steps: what to delete; used, young: how many blobs stay because a project uses them, or because they were touched lately."""

    steps: tuple[DeleteBlob, ...] = ()
    used: int = 0
    young: int = 0

    @property
    def size(self) -> int:
        """Bytes that the steps free."""
        return sum(step.size for step in self.steps)

    def __str__(self) -> str:
        total = (
            f"{len(self.steps)} blobs to delete ({self.size:,} bytes); {self.used} in use and {self.young} touched lately stay"
        )
        return "\n".join([*map(str, self.steps), total])


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """deleted: blobs gone; freed: their bytes; spared: planned, but claimed or touched since; swept: leftovers of interrupted puts."""

    deleted: int
    freed: int
    spared: int
    swept: int


def plan_page(found: Sequence[StoredBlob], used: AbstractSet[Digest], touched_before: Millis) -> CollectionPlan:
    """What to do with some blobs. used: those of them that a project uses. Only what was touched before `touched_before` is deleted."""
    unused = [blob for blob in found if blob.digest not in used]
    old = [blob for blob in unused if blob.touched < touched_before]
    steps = tuple(DeleteBlob(blob.digest, blob.size, blob.touched) for blob in old)
    return CollectionPlan(steps, used=len(found) - len(unused), young=len(unused) - len(old))


async def plan_collection(db: Database, blobs: Blobs, clock: Clock, grace: Millis = GRACE) -> CollectionPlan:
    """Looks at every blob and changes nothing: the dry run. Raises GraceTooShort below one hour."""
    if grace < LEAST_GRACE:
        raise GraceTooShort(
            f"a grace period of {grace} ms is too short: uploads that are not in the database yet would be lost. Use at least {LEAST_GRACE}"
        )
    touched_before = Millis(clock() - grace)
    plans: list[CollectionPlan] = []
    async for page in _pages(blobs.scan()):
        used = await db.read(partial(_used, [blob.digest for blob in page]))
        plans.append(plan_page(page, used, touched_before))
    steps = tuple(step for plan in plans for step in plan.steps)
    return CollectionPlan(steps, used=sum(plan.used for plan in plans), young=sum(plan.young for plan in plans))


async def execute(plan: CollectionPlan, db: Database, blobs: Blobs) -> tuple[int, int]:
    """Blobs deleted, and bytes freed by it. Each step is safe to repeat; what was claimed or touched since the plan is spared."""
    deleted = freed = 0
    for step in plan.steps:
        if await is_unused(step, db) and await blobs.delete(step.digest, untouched_since=step.untouched_since):
            deleted, freed = deleted + 1, freed + step.size
    return deleted, freed


async def is_unused(step: DeleteBlob, db: Database) -> bool:
    """The last look at the database before a blob goes."""
    return not await db.read(partial(_used, [step.digest]))


async def collect(db: Database, blobs: Blobs, clock: Clock, grace: Millis = GRACE) -> CollectionReport:
    """Plans and executes, and sweeps up what interrupted puts left behind."""
    plan = await plan_collection(db, blobs, clock, grace)
    deleted, freed = await execute(plan, db, blobs)
    swept = await blobs.sweep(untouched_since=Millis(clock() - grace))
    report = CollectionReport(deleted, freed, spared=len(plan.steps) - deleted, swept=swept)
    log.info("collected %d blobs, %d bytes; spared %d, swept %d", report.deleted, report.freed, report.spared, report.swept)
    return report


def _used(digests: list[Digest], tx: Tx) -> set[Digest]:
    return blob_use.claimed(tx, digests)


async def _pages(found: Iterator[StoredBlob]) -> AsyncIterator[list[StoredBlob]]:
    while page := await in_thread(lambda: list(islice(found, _PAGE_BLOBS))):
        yield page
