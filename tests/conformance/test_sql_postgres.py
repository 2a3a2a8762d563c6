"""What is particular to PostgreSQL: conflicts between transactions, and connections that break."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text, update

from tilth.backends.sql import Database, DatabaseUnreachable, Tx, WriteConflict, WriterBusy, create_tables, open_database
from tilth.backends.sql.postgres import MAX_ATTEMPTS, PostgresDatabase

pytestmark = pytest.mark.postgres

TABLES = MetaData()
counter = Table("counter", TABLES, Column("id", Integer, primary_key=True), Column("n", Integer))


@pytest.fixture
def db(postgres_url: str) -> Iterator[Database]:
    create_tables(postgres_url, TABLES)
    opened = open_database(postgres_url)
    opened.write_blocking(lambda tx: tx.many(insert(counter), [{"id": 1, "n": 0}, {"id": 2, "n": 0}]))
    yield opened
    opened.close()


def test_a_job_that_lost_against_another_is_run_again(db: Database) -> None:
    seen: list[int] = []
    read_once, changed = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        n = tx.scalar(select(counter.c.n).where(counter.c.id == 1))
        seen.append(n)
        read_once.set()
        changed.wait(10)
        tx.run(update(counter).where(counter.c.id == 1).values(n=n + 1))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(db.write_blocking, slow)
        read_once.wait(10)
        db.write_blocking(lambda tx: tx.run(update(counter).where(counter.c.id == 1).values(n=10)))
        changed.set()
        running.result()
    assert seen == [0, 10]
    assert db.read_blocking(lambda tx: tx.scalar(select(counter.c.n).where(counter.c.id == 1))) == 11


def test_two_jobs_that_lock_rows_in_opposite_order_both_end(db: Database) -> None:
    both_hold = threading.Barrier(2)
    attempts = threading.local()

    def lock(tx: Tx, first: int, second: int) -> None:
        tx.run(update(counter).where(counter.c.id == first).values(n=counter.c.n + 1))
        if not getattr(attempts, "met", False):
            attempts.met = True
            both_hold.wait(10)
        tx.run(update(counter).where(counter.c.id == second).values(n=counter.c.n + 1))

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(db.write_blocking, lambda tx, a=a, b=b: lock(tx, a, b)) for a, b in [(1, 2), (2, 1)]]
        for job in jobs:
            job.result()
    assert db.read_blocking(lambda tx: tx.scalar(select(func.sum(counter.c.n)))) == 4


def test_conflicts_without_end_are_reported_and_nothing_is_kept(db: Database) -> None:
    attempts: list[int] = []

    def always_loses(tx: Tx) -> None:
        attempts.append(1)
        tx.run(insert(counter).values(id=3, n=0))
        tx.run(text("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"))

    with pytest.raises(WriteConflict, match="send the request again"):
        db.write_blocking(always_loses)
    assert len(attempts) == MAX_ATTEMPTS
    assert db.read_blocking(lambda tx: tx.scalar(select(func.count()).select_from(counter))) == 2


def test_a_broken_connection_is_replaced_and_the_job_run_again(db: Database) -> None:
    killed: list[int] = []

    def dies_once(tx: Tx) -> None:
        tx.run(update(counter).where(counter.c.id == 1).values(n=counter.c.n + 1))
        if not killed:
            killed.append(tx.scalar(text("SELECT pg_backend_pid()")))
            tx.run(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    db.write_blocking(dies_once)
    assert db.read_blocking(lambda tx: tx.scalar(select(counter.c.n).where(counter.c.id == 1))) == 1


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(DatabaseUnreachable, match="check database_url") as refused:
        open_database("postgresql://someone:secret@/nothing?host=/nowhere")
    assert "secret" not in str(refused.value)


def test_writes_above_the_bound_are_told_to_come_back(postgres_url: str) -> None:
    db = PostgresDatabase(postgres_url, writers=1, readers=1, max_waiting=2)
    held, go_on = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        held.set()
        go_on.wait(10)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(db.write_blocking, hold)]
        held.wait(10)
        running += [pool.submit(db.write_blocking, lambda tx: None) for _ in range(2)]
        while db.waiting_writes < 2:
            threading.Event().wait(0.001)
        with pytest.raises(WriterBusy):
            db.write_blocking(lambda tx: None)
        go_on.set()
        for job in running:
            job.result()
    db.close()
