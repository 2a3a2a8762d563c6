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

ChainRow = Iterable[Any]
"""One sealed row exactly as it is stored: its position, the hashed columns (the id is the first of them), `previous` and `hash`.

A million rows are walked in seconds only if none is taken apart more than once: hence a plain row and no class.
"""


def row_hash(previous: str, position: int, fields: Sequence[str | int | None]) -> str:
    """SHA-256 of the JSON list [previous, position, *fields], 64 hexadecimal digits. Lists of text and whole numbers have one spelling."""
    return hashlib.sha256(_encode([previous, position, *fields])).hexdigest()


def verify(rows: Iterable[ChainRow], checkpoints: Sequence[Checkpoint]) -> Verdict:
    """Walks the chain from its first row. rows: in order of position. Names the first row that does not hold.

    checkpoints: with signatures already checked.
    """
    due = {checkpoint.position: checkpoint for checkpoint in checkpoints}
    head, count = GENESIS, 0
    for position, *fields, previous, stored in rows:
        count += 1
        if position != count:
            return Broken(count, None, f"row {count} is missing: the next one present is {position}")
        if previous != head:
            return Broken(count, fields[0], "its `previous` is not the hash of the row before it")
        head = row_hash(head, position, fields)
        if stored != head:
            return Broken(count, fields[0], "its fields do not have the hash that was stored when it was written")
        checkpoint = due.pop(count, None)
        if checkpoint is not None and checkpoint.hash != head:
            return Broken(count, fields[0], "a signed checkpoint names another hash: the chain was rewritten")
    if due:
        missing = min(due)
        return Broken(
            count + 1, None, f"the chain ends at row {count}, but a signed checkpoint names row {missing}: the tail was cut off"
        )
    return Intact(events=count, checkpoints=len(checkpoints), head=head)


def checkpoint_message(position: int, hash_: str, at: int) -> bytes:
    """What the signature of a checkpoint covers."""
    return _encode(["tilth-audit-checkpoint-1", position, hash_, at])
