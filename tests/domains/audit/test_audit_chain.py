"""The audit trail: every kind of tampering is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tilth.backends.sql import Database, create_tables, open_database
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.domains.audit import actions, queries
from tilth.domains.audit.jobs import Checkpoints, verify_chain, write_checkpoint
from tilth.domains.audit.types import Broken, Intact

ADA = Actor(id="p1", name="ada", kind="user", via="token:t1", address="127.0.0.1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    create_tables(f"sqlite:///{path}")
    opened = open_database(f"sqlite:///{path}")
    for number in range(1, 6):
        opened.write_blocking(
            lambda tx, n=number: actions.record(tx, ADA, "model.created", project_id="q", thing=f"m{n}", detail={"n": n})
        )
    yield opened
    opened.close()


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "audit", now)


def tamper(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER IF EXISTS audit_event_no_update")
    connection.execute("DROP TRIGGER IF EXISTS audit_event_no_delete")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_an_untouched_chain_is_intact(database, checkpoints):
    write_checkpoint(database, checkpoints)
    verdict = verify_chain(database, checkpoints)
    assert isinstance(verdict, Intact)
    assert (verdict.events, verdict.checkpoints) == (5, 1)


@pytest.mark.parametrize(
    ("statement", "position", "reason"),
    [
        ("UPDATE audit_event SET detail = '{\"n\":9}' WHERE position = 3", 3, "fields do not have the hash"),
        ("UPDATE audit_event SET actor_name = 'eve' WHERE position = 1", 1, "fields do not have the hash"),
        ("DELETE FROM audit_event WHERE position = 2", 2, "row 2 is missing"),
        ("UPDATE audit_event SET previous = hash WHERE position = 4", 4, "not the hash of the row before it"),
    ],
)
def test_a_changed_or_missing_row_is_named(database, checkpoints, path, statement, position, reason):
    tamper(path, statement)
    verdict = verify_chain(database, checkpoints)
    assert isinstance(verdict, Broken)
    assert verdict.position == position
    assert reason in verdict.reason


def test_a_cut_tail_shows_against_a_signed_checkpoint(database, checkpoints, path):
    write_checkpoint(database, checkpoints)
    tamper(path, "DELETE FROM audit_event WHERE position > 3")
    verdict = verify_chain(database, checkpoints)
    assert isinstance(verdict, Broken)
    assert "tail was cut off" in verdict.reason


def test_a_forged_checkpoint_is_found(database, checkpoints, tmp_path):
    write_checkpoint(database, checkpoints)
    file = tmp_path / "audit" / "checkpoints.jsonl"
    file.write_text(file.read_text().replace('"position": 5', '"position": 4'))
    verdict = verify_chain(database, checkpoints)
    assert isinstance(verdict, Broken)
    assert "changed after it was signed" in verdict.reason


def test_a_failed_change_leaves_no_row(database, checkpoints):
    def change(tx):
        actions.record(tx, ADA, "model.created", project_id="q", thing="m6")
        raise LookupError("the change failed")

    with pytest.raises(LookupError):
        database.write_blocking(change)
    assert database.read_blocking(queries.count_across_projects) == 5
    assert isinstance(verify_chain(database, checkpoints), Intact)


def test_repeated_refusals_are_one_row_a_minute(database):
    for _ in range(3):
        database.write_blocking(lambda tx: actions.record_refusal(tx, ADA, "/api/v1/x", "run.write", "q"))
    refused = database.read_blocking(lambda tx: queries.events_of_project(tx, "q", words="refused"))
    assert len(refused) in (1, 2)  # two if the minute turned between them
    assert {event.outcome for event in refused} == {"refused"}


def test_pages_of_events_follow_each_other_without_gaps(database):
    first = database.read_blocking(lambda tx: queries.events_of_project(tx, "q", limit=2))
    second = database.read_blocking(lambda tx: queries.events_of_project(tx, "q", limit=10, before=(first[-1].at, first[-1].id)))
    assert [event.thing for event in first + second] == ["m5", "m4", "m3", "m2", "m1"]


def test_events_of_another_project_are_not_seen(database):
    assert database.read_blocking(lambda tx: queries.events_of_project(tx, "other")) == []
