"""How long `tilth audit verify` takes for a million rows: the chain of hashes is walked from the first row to the last.

The rows are written by bulk inserts under the chain's own rule. The reference is the least that any verification must do: read the same
rows with the bare sqlite3 module and hash their bytes, without encoding, comparing or pages.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.clients import median
from benchmarks.figures import Figure, run_script
from benchmarks.processes import folder
from tilth.backends.sql import create_tables, open_database
from tilth.core.clock import now
from tilth.core.ids import new_id
from tilth.domains.audit.jobs import Checkpoints, verify_chain, write_checkpoint
from tilth.domains.audit.rules import row_hash
from tilth.domains.audit.tables import HASHED
from tilth.domains.audit.types import GENESIS, Intact

ROWS = 1_000_000
COLUMNS = ("position", *HASHED, "previous", "hash")


def measure(quick: bool) -> list[Figure]:
    rows = ROWS // 100 if quick else ROWS
    with folder() as place:
        path = place / "audit.db"
        create_tables(f"sqlite:///{path}")
        fill(path, rows)
        turns = [(verified(path, place, rows), bare(path)) for _ in range(1 if quick else 3)]
    ours, reference = median([turn[0] for turn in turns]), median([turn[1] for turn in turns])
    limit = None if quick else 5.0
    return [Figure(f"verify {rows:,} audit rows", "s", ours, limit, "bare read and hash", reference)]


def fill(path: Path, count: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    marks = ", ".join("?" * len(COLUMNS))
    statement = f"INSERT INTO audit_event ({', '.join(COLUMNS)}) VALUES ({marks})"
    made = rows(count)
    while batch := list(islice(made, 10_000)):
        connection.executemany(statement, batch)
    connection.commit()
    connection.close()


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    head, project, actor, at = GENESIS, new_id(), new_id(), now()
    for position in range(1, count + 1):
        detail = json.dumps({"model": "flight-delay", "version": position, "from": "champion"}, separators=(",", ":"))
        thing = f"flight-delay/{position}"
        token = f"token:{actor}"
        fields = (
            new_id(),
            at + position,
            actor,
            "ada",
            "user",
            token,
            "127.0.0.1",
            "alias.moved",
            "done",
            project,
            thing,
            detail,
        )
        previous, head = head, row_hash(head, position, fields)
        yield (position, *fields, previous, head)


def verified(path: Path, place: Path, expected: int) -> float:
    database = open_database(f"sqlite:///{path}")
    try:
        checkpoints = Checkpoints(place / "checkpoints", now)
        write_checkpoint(database, checkpoints)
        begun = perf_counter()
        verdict = verify_chain(database, checkpoints)
        took = perf_counter() - begun
    finally:
        database.close()
    if not isinstance(verdict, Intact) or verdict.events != expected:
        raise AssertionError(f"the chain that was just written does not hold: {verdict}")
    return took


def bare(path: Path) -> float:
    connection = sqlite3.connect(path)
    begun = perf_counter()
    for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM audit_event ORDER BY position"):
        hashlib.sha256("".join(map(str, row)).encode()).hexdigest()
    took = perf_counter() - begun
    connection.close()
    return took


if __name__ == "__main__":
    sys.exit(run_script("audit", __doc__ or "", measure))
