"""Ids in columns, on both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import MetaData, Table, bindparam, func, insert, select
from sqlalchemy.schema import Column

from tilth.backends.sql import Database, Id, Str, Tx, contains, create_tables, hot, id_text, like, open_database
from tilth.core.ids import new_id

TABLES = MetaData()
leaf = Table("leaf", TABLES, Column("id", Id, primary_key=True), Column("parent_id", Id), Column("note", Str))
ADD = hot(insert(leaf))
GET = hot(select(leaf.c.id, leaf.c.parent_id).where(leaf.c.id == bindparam("wanted")))

FIRST, SECOND = "0" * 31 + "1", "ab" * 16


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    create_tables(database_url, TABLES)
    opened = open_database(database_url)
    opened.write_blocking(lambda tx: tx.run(ADD, id=FIRST, parent_id=None, note="first"))
    opened.write_blocking(lambda tx: tx.run(insert(leaf), id=SECOND, parent_id=FIRST, note="second"))
    yield opened
    opened.close()


def ids(tx: Tx, *wanted: object) -> list[str]:
    return [row.id for row in tx.all(select(leaf.c.id).where(*wanted).order_by(leaf.c.id))]  # type: ignore[arg-type]


def test_an_id_is_digits_outside_and_16_bytes_inside(db: Database) -> None:
    assert db.read_blocking(lambda tx: tuple(tx.one(GET, wanted=SECOND))) == (SECOND, FIRST)  # type: ignore[arg-type]
    assert db.read_blocking(lambda tx: tuple(tx.one(GET, wanted=FIRST))) == (FIRST, None)  # type: ignore[arg-type]
    core = select(leaf.c.id, leaf.c.parent_id, func.length(leaf.c.id)).order_by(leaf.c.id)
    assert db.read_blocking(lambda tx: [tuple(row) for row in tx.all(core)]) == [(FIRST, None, 16), (SECOND, FIRST, 16)]


def test_ids_sort_as_their_digits_do(db: Database) -> None:
    more = [new_id() for _ in range(20)] + ["f" * 32, "0" * 32]
    db.write_blocking(lambda tx: tx.many(insert(leaf), [{"id": one} for one in more]))
    assert db.read_blocking(ids) == sorted([FIRST, SECOND, *more])
    assert db.read_blocking(lambda tx: ids(tx, leaf.c.id > SECOND)) == ["f" * 32]


@pytest.mark.parametrize(
    "text", ["", "x", "ab", SECOND.upper(), " " + SECOND, SECOND + "0", "\n".join((SECOND, "")), "é" * 32, "a\0"]
)
def test_text_that_is_no_id_equals_none(db: Database, text: str) -> None:
    assert db.read_blocking(lambda tx: tx.one(GET, wanted=text)) is None
    assert db.read_blocking(lambda tx: ids(tx, leaf.c.id.in_([text, FIRST]))) == [FIRST]
    assert db.read_blocking(lambda tx: ids(tx, leaf.c.id != text)) == [FIRST, SECOND]


def test_the_digits_of_an_id_are_met_by_patterns(db: Database) -> None:
    assert db.read_blocking(lambda tx: ids(tx, like(id_text(leaf.c.id), "abab%"))) == [SECOND]
    assert db.read_blocking(lambda tx: ids(tx, contains(id_text(leaf.c.id), "BA"))) == [SECOND]
    joined = select("leaf/" + id_text(leaf.c.id)).order_by(leaf.c.id)
    assert db.read_blocking(lambda tx: [row[0] for row in tx.all(joined)]) == [f"leaf/{FIRST}", f"leaf/{SECOND}"]


def test_no_id_has_no_digits(db: Database) -> None:
    assert db.read_blocking(lambda tx: ids(tx, id_text(leaf.c.parent_id).is_(None))) == [FIRST]
    assert db.read_blocking(lambda tx: ids(tx, ~contains(id_text(leaf.c.parent_id), "f"))) == [SECOND]
