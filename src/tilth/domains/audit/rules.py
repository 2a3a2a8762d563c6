"""The hash chain: each row's hash covers its own fields and the hash before it, so that no row can be changed, moved or taken out unseen.

A chain alone does not show a cut tail; signed checkpoints outside the database do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tilth.domains.audit.types import GENESIS, Broken, Checkpoint, Intact, Verdict

_encode = msgspec.json.Encoder().encode

ChainRow = Sequence[Any]
"""One sealed row as it is stored: `previous`, its position, the hashed columns (the id is the first of them), `hash`.

All but the last stand as `row_hash` takes them. A million rows are walked in seconds only if none is taken apart: hence a plain row and
no class.
"""


def row_hash(previous: str, position: int, fields: Sequence[str | int | None]) -> str:
    """SHA-256 of the JSON list [previous, position, *fields], 64 hexadecimal digits. Lists of text and whole numbers have one spelling."""
    return _hash_of([previous, position, *fields])


def _hash_of(hashed: Sequence[Any]) -> str:
    return hashlib.sha256(_encode(hashed)).hexdigest()


def verify(rows: Iterable[ChainRow], checkpoints: Sequence[Checkpoint]) -> Verdict:
    """Walks the chain from its first row. rows: in order of position. Names the first row that does not hold.

    checkpoints: with signatures already checked.
    """
    due = {checkpoint.position: checkpoint for checkpoint in checkpoints}
    head, count = GENESIS, 0
    for row in rows:
        count += 1
        if row[1] != count:
            return Broken(count, None, f"row {count} is missing: the next one present is {row[1]}")
        if row[0] != head:
            return Broken(count, row[2], "its `previous` is not the hash of the row before it")
        head = _hash_of(row[:-1])
        if row[-1] != head:
            return Broken(count, row[2], "its fields do not have the hash that was stored when it was written")
        checkpoint = due.pop(count, None)
        if checkpoint is not None and checkpoint.hash != head:
            return Broken(count, row[2], "a signed checkpoint names another hash: the chain was rewritten")
    if due:
        missing = min(due)
        return Broken(
            count + 1, None, f"the chain ends at row {count}, but a signed checkpoint names row {missing}: the tail was cut off"
        )
    return Intact(events=count, checkpoints=len(checkpoints), head=head)


def checkpoint_message(position: int, hash_: str, at: int) -> bytes:
    """What the signature of a checkpoint covers."""
    return _encode(["tilth-audit-checkpoint-1", position, hash_, at])
