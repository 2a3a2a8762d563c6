"""A bare process that writes numbered rows into the database argv[1] and says which of them it was told are safe.

argv[2] is how it writes: `honest` is the product; each of the others has one fault that the tests must find.
argv[3], if given, is a file for the record of every write, sync and acknowledgement (see disk_model).
"""

import asyncio
import json
import os
import pickle
import sys
from pathlib import Path

from disk_model import Recorder
from sqlalchemy import Column, Integer, MetaData, Table, insert

from tilth.backends.sql import Tx, create_tables, hot, sqlite, upsert
from tilth.backends.sql.sqlite import SqliteDatabase

CLIENTS = 4
ROWS_EACH = 12

TABLES = MetaData()
left = Table("left_half", TABLES, Column("n", Integer, primary_key=True))
right = Table("right_half", TABLES, Column("n", Integer, primary_key=True))
total = Table("total", TABLES, Column("id", Integer, primary_key=True), Column("n", Integer))
LEFT, RIGHT = hot(insert(left)), hot(insert(right))
TOTAL = hot(upsert(total, ["id"], lambda old, new: {"n": old.n + new.n}))

recorder = Recorder()


def say(number: int) -> None:
    recorder.events.append(("ack", number))
    # One write of the file descriptor: nothing stays in a buffer that a kill would take along.
    os.write(1, json.dumps(["ack", number]).encode() + b"\n")


def write_left(tx: Tx, number: int) -> None:
    tx.run(LEFT, n=number)
    tx.coalesce(TOTAL, 1, {"id": 1, "n": 1}, lambda old, new: {"id": 1, "n": old["n"] + new["n"]})


def write_right(tx: Tx, number: int) -> None:
    tx.run(RIGHT, n=number)


async def honest(db: SqliteDatabase, number: int) -> None:
    await db.write(lambda tx: (write_left(tx, number), write_right(tx, number)))
    say(number)


async def acknowledge_early(db: SqliteDatabase, number: int) -> None:
    await db.write(lambda tx: (write_left(tx, number), write_right(tx, number), say(number)))


async def two_transactions(db: SqliteDatabase, number: int) -> None:
    await db.write(lambda tx: write_left(tx, number))
    await db.write(lambda tx: write_right(tx, number))
    say(number)


def sync_as(mode: str) -> None:
    pragmas = sqlite._pragmas
    sqlite._pragmas = lambda read_only: [p.replace("synchronous=FULL", f"synchronous={mode}") for p in pragmas(read_only)]


async def main(path: Path, how: str) -> None:
    db = SqliteDatabase(path)
    write = {"acknowledge_early": acknowledge_early, "two_transactions": two_transactions}.get(how, honest)

    async def client(first: int) -> None:
        for number in range(first, CLIENTS * ROWS_EACH, CLIENTS):
            await write(db, number)

    await asyncio.gather(*(client(first) for first in range(CLIENTS)))


if __name__ == "__main__":
    database, fault = Path(sys.argv[1]), sys.argv[2]
    if fault in ("sync_off", "sync_normal"):
        sync_as(fault.removeprefix("sync_"))
    if len(sys.argv) > 3:
        try:
            recorder.start()
        except OSError:
            sys.exit(77)
    create_tables(f"sqlite:///{database}", TABLES)
    asyncio.run(main(database, fault))
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_bytes(pickle.dumps(recorder.events))
