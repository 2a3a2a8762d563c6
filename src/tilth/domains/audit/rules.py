"""The hash chain: each row's hash covers its own fields and the hash before it, so that no row can be changed, moved or taken out unseen.

A chain alone does not show a cut tail; signed checkpoints outside the database do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from tilth.domains.audit.types import GENESIS, Broken, Checkpoint, Intact, Verdict

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ChainRow:
    """The stored columns of one sealed row, exactly as they are stored; `detail` is the stored JSON text."""

    position: int
    id: str
    fields: tuple[str | int | None, ...]
    previous: str
    hash: str


def row_hash(previous: str, position: int, fields: Sequence[str | int | None]) -> str:
    """SHA-256 of the JSON list [previous, position, *fields], 64 hexadecimal digits. Lists of text and whole numbers have one spelling."""
    return hashlib.sha256(_encode([previous, position, *fields])).hexdigest()


def verify(rows: Iterable[ChainRow], checkpoints: Sequence[Checkpoint]) -> Verdict:
    """Walks the chain from its first row. rows: in order of position. Names the first row that does not hold.

    checkpoints: with signatures already checked.
    """
    due = {checkpoint.position: checkpoint for checkpoint in checkpoints}
    head, count = GENESIS, 0
    for row in rows:
        count += 1
        if row.position != count:
            return Broken(count, None, f"row {count} is missing: the next one present is {row.position}")
        if row.previous != head:
            return Broken(count, row.id, "its `previous` is not the hash of the row before it")
        head = row_hash(head, row.position, row.fields)
        if row.hash != head:
            return Broken(count, row.id, "its fields do not have the hash that was stored when it was written")
        checkpoint = due.pop(count, None)
        if checkpoint is not None and checkpoint.hash != head:
            return Broken(count, row.id, "a signed checkpoint names another hash: the chain was rewritten")
    if due:
        missing = min(due)
        return Broken(
            count + 1, None, f"the chain ends at row {count}, but a signed checkpoint names row {missing}: the tail was cut off"
        )
    return Intact(events=count, checkpoints=len(checkpoints), head=head)


def checkpoint_message(position: int, hash_: str, at: int) -> bytes:
    """What the signature of a checkpoint covers."""
    return _encode(["tilth-audit-checkpoint-1", position, hash_, at])
