"""Which project uses which bytes: the root of collection, cost and erasure of blobs."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Integer, Table, and_, bindparam, delete, func, select, update

from tilth.backends.sql.hot import hot
from tilth.backends.sql.schema import Str, metadata, upsert
from tilth.backends.sql.tx import Tx
from tilth.core.ids import Digest, ProjectId

blob_use = Table(
    "blob_use",
    metadata,
    Column("project_id", Str, primary_key=True),
    Column("digest", Str, primary_key=True, index=True),
    Column("size", BigInteger, nullable=False),
    # Two artifacts of a project may hold equal bytes: the row goes when the last of them lets go.
    Column("uses", Integer, nullable=False),
)

_this = and_(blob_use.c.project_id == bindparam("project"), blob_use.c.digest == bindparam("blob"))
_CLAIM = hot(upsert(blob_use, ["project_id", "digest"], lambda old, new: {"uses": old.uses + new.uses}))
_RELEASE = hot(update(blob_use).where(_this).values(uses=blob_use.c.uses - 1))
_FORGET = hot(delete(blob_use).where(_this, blob_use.c.uses <= 0))
_BYTES = hot(select(func.coalesce(func.sum(blob_use.c.size), 0)).where(blob_use.c.project_id == bindparam("project")))
_DIGESTS_AT_ONCE = 500


def claim(tx: Tx, project_id: ProjectId, digest: Digest, size: int) -> None:
    """One more use of the bytes by the project; size in bytes. Call it in the transaction that writes the row that points to them."""
    tx.run(_CLAIM, project_id=project_id, digest=digest, size=size, uses=1)


def release(tx: Tx, project_id: ProjectId, digest: Digest) -> None:
    """One use less. Bytes that nobody uses are collected after a grace period."""
    tx.run(_RELEASE, project=project_id, blob=digest)
    tx.run(_FORGET, project=project_id, blob=digest)


def claimed(tx: Tx, digests: Iterable[Digest]) -> set[Digest]:
    """Those of the digests that any project uses."""
    asked = list(digests)
    found: set[Digest] = set()
    for start in range(0, len(asked), _DIGESTS_AT_ONCE):
        some = asked[start : start + _DIGESTS_AT_ONCE]
        found.update(row.digest for row in tx.all(select(blob_use.c.digest).where(blob_use.c.digest.in_(some))))
    return found


def bytes_of(tx: Tx, project_id: ProjectId) -> int:
    """Bytes that the project uses; equal bytes count once."""
    return int(tx.scalar(_BYTES, project=project_id))
