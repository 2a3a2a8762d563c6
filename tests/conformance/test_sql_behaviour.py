"""What an action may rely on, whichever database is below it."""

import asyncio
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, MetaData, Table, bindparam, func, insert, select, update

from tilth.backends.sql import (
    Database,
    DatabaseClosed,
    DatabaseReadOnly,
    Document,
    DuplicateRow,
    InvalidText,
    MissingReference,
    NumberOutOfRange,
    RowRefused,
    Str,
    Tx,
    create_tables,
    hot,
    open_database,
    upsert,
)

TABLES = MetaData()
thing = Table(
    "thing",
    TABLES,
    Column("id", Str, primary_key=True),
    Column("n", BigInteger),
    Column("value", Double),
    Column("is_nan", Boolean),
    Column("note", Str),
    Column("document", Document),
)
part = Table("part", TABLES, Column("id", Str, primary_key=True), Column("thing", ForeignKey("thing.id"), nullable=False))

ADD = hot(insert(thing))
GET = hot(select(thing).where(thing.c.id == bindparam("x")))
COUNT = hot(select(func.count()).select_from(thing))
SUM_UP = hot(upsert(thing, ["id"], lambda old, new: {"n": old.n + new.n}))
LATEST = hot(upsert(thing, ["id"], ["n"]))
FILL_ME = {"n": None, "value": None, "is_nan": None, "note": None, "document": None}


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    create_tables(database_url, TABLES)
    opened = open_database(database_url)
    yield opened
    opened.close()


def row(id_: str, **values: Any) -> dict[str, Any]:
    return {"id": id_, **FILL_ME, **values}


def add(tx: Tx, id_: str, **values: Any) -> None:
    tx.run(ADD, **row(id_, **values))


def plus(old: Any, new: Any) -> Any:
    return {**new, "n": old["n"] + new["n"]}


def test_what_was_written_is_read_back_by_name_and_position(db: Database) -> None:
    db.write_blocking(lambda tx: add(tx, "a", n=3, value=0.5, is_nan=False, note="x", document={"list": [1, None, "z"]}))
    hot_row = db.read_blocking(lambda tx: tx.one(GET, x="a"))
    core_row = db.read_blocking(lambda tx: tx.one(select(thing)))
    assert hot_row is not None
    assert core_row is not None
    assert tuple(hot_row) == tuple(core_row) == ("a", 3, 0.5, False, "x", {"list": [1, None, "z"]})
    assert (hot_row.n, core_row.n) == (3, 3)
    assert (hot_row.is_nan, core_row.is_nan) == (False, False)
    assert hot_row._asdict() == core_row._asdict()


def test_from_an_event_loop_a_write_answers_with_the_value_of_the_job(db: Database) -> None:
    async def both() -> tuple[int, int]:
        written = await db.write(lambda tx: tx.run(ADD, **row("a", n=1)))
        return written, await db.read(lambda tx: tx.scalar(COUNT))

    assert asyncio.run(both()) == (1, 1)


def test_a_failing_job_leaves_nothing_and_its_neighbours_do_not_notice(db: Database) -> None:
    def half(tx: Tx) -> None:
        add(tx, "half")
        raise ZeroDivisionError

    async def crowd() -> list[Any]:
        jobs = [db.write(lambda tx, i=i: add(tx, f"good-{i}")) for i in range(20)]
        jobs[10:10] = [db.write(half) for _ in range(3)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    answers = asyncio.run(crowd())
    assert sum(isinstance(answer, ZeroDivisionError) for answer in answers) == 3
    ids = db.read_blocking(lambda tx: {found.id for found in tx.all(select(thing.c.id))})
    assert ids == {f"good-{i}" for i in range(20)}


def test_sixteen_threads_that_read_and_then_write_lose_no_update(db: Database) -> None:
    db.write_blocking(lambda tx: add(tx, "counter", n=0))
    change = hot(update(thing).where(thing.c.id == bindparam("x")).values(n=bindparam("to")))

    def increment(tx: Tx) -> None:
        seen = tx.one(GET, x="counter")
        assert seen is not None
        tx.run(change, x="counter", to=seen.n + 1)

    def many() -> None:
        for _ in range(5):
            db.write_blocking(increment)

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(many) for _ in range(16)]:
            done.result()
    assert db.read_blocking(lambda tx: tx.one(GET, x="counter").n) == 80  # type: ignore[union-attr]


def test_two_jobs_that_each_look_before_they_write_do_not_both_win(db: Database) -> None:
    def take_if_free(tx: Tx, name: str) -> bool:
        if tx.scalar(COUNT) == 0:
            add(tx, name)
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: db.write_blocking(lambda tx: take_if_free(tx, f"taken-by-{i}")), range(8)))
    assert won.count(True) == 1


def test_a_read_sees_one_moment_whatever_is_written_meanwhile(db: Database) -> None:
    written, first_look = threading.Event(), threading.Event()

    def look_twice(tx: Tx) -> tuple[int, int]:
        first = tx.scalar(COUNT)
        first_look.set()
        written.wait(10)
        return first, tx.scalar(COUNT)

    with ThreadPoolExecutor(1) as pool:
        looks = pool.submit(db.read_blocking, look_twice)
        first_look.wait(10)
        db.write_blocking(lambda tx: add(tx, "new"))
        written.set()
        assert looks.result() == (0, 0)
    assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 1


def test_a_reading_job_cannot_write(db: Database) -> None:
    with pytest.raises(DatabaseReadOnly, match=r"use db\.write"):
        db.read_blocking(lambda tx: add(tx, "a"))
    with pytest.raises(DatabaseReadOnly):
        db.read_blocking(lambda tx: tx.run(insert(thing).values(id="a")))
    assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 0


@pytest.mark.parametrize("statement", [ADD, insert(thing)], ids=["hot", "core"])
def test_refused_rows_say_what_is_wrong_with_them(db: Database, statement: Any) -> None:
    db.write_blocking(lambda tx: add(tx, "a"))
    with pytest.raises(DuplicateRow, match="there already"):
        db.write_blocking(lambda tx: tx.run(statement, **row("a")))
    with pytest.raises(InvalidText, match="NUL"):
        db.write_blocking(lambda tx: tx.run(statement, **row("a\0b")))
    with pytest.raises(InvalidText, match="surrogates"):
        db.write_blocking(lambda tx: tx.run(statement, **row("\ud800")))
    with pytest.raises(NumberOutOfRange, match=r"64 bits|range"):
        db.write_blocking(lambda tx: tx.run(statement, **row("b", n=2**63)))
    with pytest.raises(InvalidText, match="NaN"):
        db.write_blocking(lambda tx: tx.run(statement, **row("b", document={"loss": math.nan})))
    with pytest.raises(InvalidText, match="NUL"):
        db.write_blocking(lambda tx: tx.run(statement, **row("b", document=["\0"])))
    with pytest.raises(MissingReference, match="does not exist"):
        db.write_blocking(lambda tx: tx.run(insert(part).values(id="p", thing="nowhere")))
    with pytest.raises(RowRefused):
        db.write_blocking(lambda tx: tx.run(insert(part).values(id="p", thing=None)))
    assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 1


def test_an_error_caught_inside_a_savepoint_leaves_the_rest_of_the_job_standing(db: Database) -> None:
    def job(tx: Tx) -> bool:
        add(tx, "before")
        try:
            with tx.savepoint():
                add(tx, "inside")
                tx.coalesce(SUM_UP, "inside-later", row("inside-later", n=1), plus)
                add(tx, "before")
        except DuplicateRow:
            add(tx, "after")
            return True
        return False

    assert db.write_blocking(job)
    assert db.read_blocking(lambda tx: [found.id for found in tx.all(select(thing.c.id).order_by(thing.c.id))]) == [
        "after",
        "before",
    ]


def test_infinities_are_kept_and_nan_needs_its_flag(db: Database) -> None:
    def points(tx: Tx) -> None:
        for name, number in [("plus", math.inf), ("minus", -math.inf), ("half", 0.5), ("none", math.nan)]:
            add(tx, name, value=None if math.isnan(number) else number, is_nan=math.isnan(number))

    db.write_blocking(points)
    above = select(thing.c.id).where(thing.c.value > 0.4).order_by(thing.c.value)
    assert [found.id for found in db.read_blocking(lambda tx: tx.all(above))] == ["half", "plus"]
    assert db.read_blocking(lambda tx: tx.one(GET, x="none").is_nan) is True  # type: ignore[union-attr]
    assert db.read_blocking(lambda tx: tx.one(GET, x="minus").value) == -math.inf  # type: ignore[union-attr]


def test_text_is_ordered_by_code_point_and_like_minds_case(db: Database) -> None:
    names = ["b", "A", "a", "é", "Z", "_", "a b", "𝔸", "ﬀ"]
    db.write_blocking(lambda tx: [add(tx, name) for name in names])
    ordered = db.read_blocking(lambda tx: [found.id for found in tx.all(select(thing.c.id).order_by(thing.c.id))])
    assert ordered == sorted(names)
    like = select(thing.c.id).where(thing.c.id.like("a%")).order_by(thing.c.id)
    assert [found.id for found in db.read_blocking(lambda tx: tx.all(like))] == ["a", "a b"]


def test_long_text_and_many_rows_come_back_whole(db: Database) -> None:
    long = "ünï" * 1_000_000
    changed = db.write_blocking(lambda tx: tx.many(ADD, [row(f"{i:04}", note=long if i == 7 else "") for i in range(1000)]))
    assert changed == 1000
    assert db.read_blocking(lambda tx: tx.one(GET, x="0007").note) == long  # type: ignore[union-attr]
    assert db.write_blocking(lambda tx: tx.many(ADD, [])) == 0
    assert db.write_blocking(lambda tx: tx.run(update(thing).values(n=1).where(thing.c.id < "0010"))) == 10


def test_upsert_takes_over_folds_or_leaves(db: Database) -> None:
    def changes(tx: Tx) -> list[int]:
        for statement in (LATEST, LATEST, SUM_UP, hot(upsert(thing, ["id"]))):
            tx.run(statement, **row("a", n=5))
        tx.run(upsert(thing, ["id"], ["n"]), **row("b", n=1))
        tx.many(upsert(thing, ["id"], lambda old, new: {"n": old.n + new.n}), [row("b", n=1), row("b", n=2)])
        return [found.n for found in tx.all(select(thing).order_by(thing.c.id))]

    assert db.write_blocking(changes) == [10, 4]


def test_coalesced_rows_are_folded_and_a_failed_job_adds_nothing(db: Database) -> None:
    def count(tx: Tx, fails: bool) -> None:
        tx.coalesce(SUM_UP, "sum", row("sum", n=1), plus)
        tx.coalesce(SUM_UP, "sum", row("sum", n=10), plus)
        if fails:
            raise ZeroDivisionError

    async def crowd() -> None:
        jobs = [db.write(lambda tx, i=i: count(tx, fails=i % 3 == 0)) for i in range(30)]
        await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(crowd())
    assert db.read_blocking(lambda tx: tx.one(GET, x="sum").n) == 20 * 11  # type: ignore[union-attr]


def test_a_flush_shows_deferred_rows_to_the_job_and_its_failure_keeps_those_of_its_neighbours(db: Database) -> None:
    seen: list[int] = []

    def count(tx: Tx) -> None:
        tx.coalesce(SUM_UP, "sum", row("sum", n=1), plus)

    def look_and_fail(tx: Tx) -> None:
        count(tx)
        tx.flush()
        found = tx.one(GET, x="sum")
        assert found is not None
        seen.append(found.n)
        raise ZeroDivisionError

    async def crowd() -> None:
        jobs = [db.write(count) for _ in range(5)] + [db.write(look_and_fail)] + [db.write(count) for _ in range(5)]
        await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(crowd())
    assert 1 <= seen[0] <= 11
    assert db.read_blocking(lambda tx: tx.one(GET, x="sum").n) == 10  # type: ignore[union-attr]


def test_a_refused_deferred_row_fails_its_own_job_only(db: Database) -> None:
    part_later = hot(upsert(part, ["id"]))

    def refused(tx: Tx) -> None:
        tx.coalesce(part_later, "p", {"id": "p", "thing": "nowhere"}, plus)

    async def crowd() -> list[Any]:
        jobs = [db.write(lambda tx, i=i: add(tx, f"good-{i}")) for i in range(6)]
        return await asyncio.gather(db.write(refused), *jobs, return_exceptions=True)

    answers = asyncio.run(crowd())
    assert isinstance(answers[0], MissingReference)
    assert answers[1:] == [None] * 6
    assert db.read_blocking(lambda tx: tx.scalar(COUNT)) == 6


def test_a_job_that_asks_for_another_job_is_refused_instead_of_waiting_for_itself(db: Database) -> None:
    with pytest.raises(RuntimeError, match="would wait for itself"):
        db.write_blocking(lambda tx: db.write_blocking(lambda tx: None))


def test_a_coroutine_function_is_no_job(db: Database) -> None:
    async def job(tx: Tx) -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        db.write_blocking(job)


def test_a_listener_hears_of_commits_only(db: Database) -> None:
    heard = threading.Event()
    db.listen("news", heard.set)

    def fails(tx: Tx) -> None:
        tx.announce("news")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.write_blocking(fails)
    db.write_blocking(lambda tx: None)
    assert not heard.is_set()
    db.write_blocking(lambda tx: tx.announce("news"))
    assert heard.wait(10)


def test_a_closing_database_ends_what_it_accepted_and_refuses_the_rest(database_url: str) -> None:
    create_tables(database_url, TABLES)
    db = open_database(database_url)

    async def crowd() -> None:
        jobs = [asyncio.ensure_future(db.write(lambda tx, i=i: add(tx, f"{i}"))) for i in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(db.close)
        await asyncio.gather(*jobs)
        with pytest.raises(DatabaseClosed, match="stopping"):
            await db.write(lambda tx: add(tx, "late"))

    asyncio.run(crowd())
    again = open_database(database_url)
    assert again.read_blocking(lambda tx: tx.scalar(COUNT)) == 50
    again.close()


def test_values_written_into_a_hot_statement_need_not_be_given(db: Database) -> None:
    clear = hot(update(thing).where(thing.c.id == bindparam("x"), thing.c.note == "old").values(note=None, is_nan=True, n=7))

    def job(tx: Tx) -> Any:
        add(tx, "a", note="old")
        return tx.run(clear, x="a"), tx.one(GET, x="a"), tx.run(clear, x="a")

    first, found, second = db.write_blocking(job)
    assert (first, found.note, found.is_nan, found.n, second) == (1, None, True, 7, 0)


def test_a_hot_statement_refuses_lists_whose_text_depends_on_the_values() -> None:
    with pytest.raises(TypeError, match="expanding"):
        hot(select(thing).where(thing.c.id.in_(["a", "b"])))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\\u0", max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_every_value_comes_back_as_it_went(db: Database, note: str, n: int, value: float, document: Any) -> None:
    wanted = row("law", n=n, value=value, note=note, document=document)
    everything = upsert(thing, ["id"], ["n", "value", "note", "document"])
    found = db.write_blocking(lambda tx: (tx.run(everything, **wanted), tx.one(GET, x="law"))[1])
    assert found is not None
    assert found._asdict() == wanted
