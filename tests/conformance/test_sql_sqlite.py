"""What is particular to SQLite: one writer, groups, files."""

import asyncio
import logging
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, Table, func, insert, select, text

from tilth.backends.sql import (
    Database,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseUnreachable,
    InvalidDatabaseUrl,
    MissingReference,
    NetworkFileSystem,
    Tx,
    WriterBusy,
    check_sqlite_location,
    create_tables,
    open_database,
)
from tilth.backends.sql.sqlite import SqliteDatabase
from tilth.core.errors import OutOfSpace

TABLES = MetaData()
page = Table("page", TABLES, Column("id", Integer, primary_key=True), Column("body", LargeBinary))
link = Table("link", TABLES, Column("id", Integer, primary_key=True), Column("page", ForeignKey("page.id")))
COUNT = select(func.count()).select_from(page)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_tables(f"sqlite:///{tmp_path / 'tilth.db'}", TABLES)
    return tmp_path / "tilth.db"


@pytest.fixture
def db(path: Path) -> Iterator[SqliteDatabase]:
    opened = SqliteDatabase(path, max_waiting_writes=8)
    yield opened
    opened.close()


def add(tx: Tx, number: int, size: int = 10) -> None:
    tx.run(insert(page).values(id=number, body=b"x" * size))


def in_one_group(db: Database, *jobs: Callable[[Tx], Any]) -> list[Any]:
    """Answers of jobs that all wait while the writer is held up, and so are committed together."""
    held, go_on = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        held.set()
        go_on.wait(10)

    async def crowd() -> list[Any]:
        first = asyncio.ensure_future(db.write(hold))
        await asyncio.to_thread(held.wait, 10)
        rest = [asyncio.ensure_future(db.write(job)) for job in jobs]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, return_exceptions=True)
        return await asyncio.gather(*rest, return_exceptions=True)

    return asyncio.run(crowd())


def test_writes_above_the_bound_are_told_to_come_back(db: SqliteDatabase) -> None:
    answers = in_one_group(db, *[lambda tx, i=i: add(tx, i) for i in range(12)])
    busy = [answer for answer in answers if isinstance(answer, WriterBusy)]
    assert len(busy) == 4
    assert busy[0].retry_after_s > 0
    assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 8


def test_when_one_job_breaks_a_rule_that_is_checked_at_the_commit_only_that_job_fails(db: SqliteDatabase) -> None:
    def dangling(tx: Tx) -> None:
        tx.run(text("PRAGMA defer_foreign_keys=ON"))
        tx.run(insert(link).values(id=1, page=99))

    answers = in_one_group(db, lambda tx: add(tx, 1), dangling, lambda tx: add(tx, 2))
    assert [type(answer) for answer in answers] == [type(None), MissingReference, type(None)]
    assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 2


def test_a_full_database_keeps_nothing_of_the_job_and_says_out_of_space(db: SqliteDatabase) -> None:
    db.write_blocking(lambda tx: tx.scalar(text("PRAGMA max_page_count=20")))
    answers = in_one_group(db, lambda tx: add(tx, 1, size=1_000_000), lambda tx: add(tx, 2))
    assert isinstance(answers[0], DatabaseFull)
    assert isinstance(answers[0], OutOfSpace)
    kept = db.read_blocking(lambda tx: [found.id for found in tx.all(select(page.c.id))])
    assert kept == ([2] if answers[1] is None else [])
    db.write_blocking(lambda tx: add(tx, 3))


def test_a_full_disk_fails_every_job_of_the_group_and_writing_goes_on_once_there_is_space(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    create_tables(f"sqlite:///{disk / 'tilth.db'}", TABLES)
    db = SqliteDatabase(disk / "tilth.db")
    try:
        filler = disk / "filler"
        filler.write_bytes(b"x" * 500_000)
        answers = in_one_group(db, *[lambda tx, i=i: add(tx, i, size=150_000) for i in range(6)])
        assert all(isinstance(answer, DatabaseFull) for answer in answers)
        assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 0
        filler.unlink()
        db.write_blocking(lambda tx: add(tx, 1, size=1000))
        assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 1
    finally:
        db.close()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_caller_who_went_away_before_the_turn_of_its_job_leaves_no_write(db: SqliteDatabase) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        held.set()
        go_on.wait(10)

    async def impatient() -> None:
        first = asyncio.ensure_future(db.write(hold))
        await asyncio.to_thread(held.wait, 10)
        second = asyncio.ensure_future(db.write(lambda tx: add(tx, 1)))
        third = asyncio.ensure_future(db.write(lambda tx: add(tx, 2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, third)

    asyncio.run(impatient())
    assert db.read_blocking(lambda tx: [found.id for found in tx.all(select(page.c.id))]) == [2]


def test_a_slow_job_is_named_in_the_log(db: SqliteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    def dawdle(tx: Tx) -> None:
        threading.Event().wait(0.06)

    with caplog.at_level(logging.WARNING, "tilth.sql"):
        db.write_blocking(dawdle)
    assert "dawdle held the database" in caplog.text


def test_every_commit_is_synced_and_readers_are_not_locked_out(db: SqliteDatabase) -> None:
    pragmas = {
        name: db.write_blocking(lambda tx, name=name: tx.scalar(text(f"PRAGMA {name}")))
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_file_is_readable_by_its_owner_only_and_a_clean_close_leaves_one_file(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    db.write_blocking(lambda tx: tx.run(text("CREATE TABLE t (x)")))
    db.close()
    assert [found.name for found in tmp_path.iterdir()] == ["new.db"]


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable, match="folder exists"):
        open_database(f"sqlite:///{tmp_path / 'nowhere' / 'tilth.db'}")
    (tmp_path / "noise.db").write_bytes(b"this is no database at all " * 100)
    with pytest.raises(DatabaseDamaged, match="backup"):
        open_database(f"sqlite:///{tmp_path / 'noise.db'}")
    for url in ("sqlite:///relative.db", "sqlite://", "mysql://somewhere/x", "nonsense"):
        with pytest.raises(InvalidDatabaseUrl, match="sqlite:////absolute"):
            open_database(url)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused_with_the_way_out(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/x /srv/team\\040home {kind} rw 0 0\ntmpfs /srv/team\\040home/fast tmpfs rw 0 0\n"
    )
    with pytest.raises(NetworkFileSystem, match=rf"network file system \({kind}\).*PostgreSQL"):
        check_sqlite_location(Path("/srv/team home/tilth.db"), mounts)
    check_sqlite_location(Path("/srv/team home/fast/tilth.db"), mounts)
    check_sqlite_location(Path("/srv/team home of another/tilth.db"), mounts)
    check_sqlite_location(Path("/srv/team home/tilth.db"), tmp_path / "missing")
