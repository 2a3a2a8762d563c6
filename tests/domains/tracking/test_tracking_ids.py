"""Runs by their ids, and what stands for experiments in the rows of runs, on both databases."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import select

from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId, new_id
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.actions.care import change_many
from tilth.domains.tracking.queries import care, known, purging
from tilth.domains.tracking.queries.search import runs_page
from tilth.domains.tracking.rules.filters import Condition
from tilth.domains.tracking.tables import experiment
from tilth.wire.care import BulkRuns
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate

ANNA = Actor(id="a" * 32, name="anna", kind="user", via="token:1")
_projects = count(0x1D5)


def a_project() -> ProjectId:
    return ProjectId(f"{next(_projects):032x}")


def start(db: Database, project: ProjectId, **wanted: object) -> str:
    return db.write_blocking(lambda tx: actions.create_run(tx, ANNA, project, RunCreate(**wanted)))  # type: ignore[arg-type]


def found(db: Database, project: ProjectId, *terms: Condition) -> list[str]:
    return [run.id for run in db.read_blocking(lambda tx: runs_page(tx, project, terms=terms)).runs]


def test_runs_are_found_by_their_id_and_by_parts_of_it(either_db: Database) -> None:
    project = a_project()
    parent = start(either_db, project)
    child = start(either_db, project, parent_run_id=parent)
    for operator, text, expected in (
        ("=", parent, [parent]),
        ("!=", parent, [child]),
        ("=", parent.upper(), []),
        ("=", "none such", []),
        ("!=", "none such", [child, parent]),
        ("^=", child[:20], [child]),
        ("like", f"%{parent[-12:]}", [parent]),
        ("ilike", f"%{parent[-12:].upper()}", [parent]),
        ("~", parent[8:], [parent]),
        ("!~", parent[8:], [child]),
    ):
        assert found(either_db, project, Condition("attribute", "id", operator, text)) == expected, (operator, text)  # type: ignore[arg-type]
    assert found(either_db, project, Condition("attribute", "id", "in", values=(parent, "none such"))) == [parent]
    assert found(either_db, project, Condition("attribute", "parent_run_id", "=", parent)) == [child]
    assert found(either_db, project, Condition("attribute", "parent_run_id", "~", parent[8:])) == [child]
    assert found(either_db, project, Condition("attribute", "parent_run_id", "is_null")) == [parent]
    assert found(either_db, project, Condition("attribute", "artifact_uri", "like", f"%/{child}/artifacts")) == [child]


@pytest.mark.parametrize("text", ["", "none such", "g" * 32, "a" * 33])
def test_an_id_that_no_run_can_have_is_unknown(either_db: Database, text: str) -> None:
    project = a_project()
    start(either_db, project)
    assert either_db.read_blocking(lambda tx: queries.run_info(tx, project, text)) is None
    assert either_db.read_blocking(lambda tx: queries.run_infos(tx, project, [text])) == []


def test_runs_that_moved_are_found_by_what_they_logged_in_the_new_experiment_alone(either_db: Database) -> None:
    project = a_project()
    run_id = start(either_db, project, experiment="old", params={"depth": "7"})
    start(either_db, project, experiment="new")
    either_db.write_blocking(lambda tx: actions.log(tx, project, run_id, LogBatch(metrics=[MetricPoint("auc", 0.5)]), 1000))  # type: ignore[arg-type]
    places = {one.name: one.id for one in either_db.read_blocking(lambda tx: queries.experiments(tx, project))}
    either_db.write_blocking(lambda tx: care.move_runs(tx, project, [run_id], places["new"]))
    for term in (Condition("metric", "auc", ">", "0", 0.0), Condition("param", "depth", "=", "7", 7.0)):
        for name, expected in (("old", []), ("new", [run_id])):
            page = either_db.read_blocking(lambda tx, t=term, n=name: runs_page(tx, project, terms=[t], experiment_id=places[n]))  # type: ignore[misc]
            assert [run.id for run in page.runs] == expected, (term, name)


def test_many_runs_that_got_a_tag_at_once_are_found_by_it(either_db: Database) -> None:
    project = a_project()
    chosen = [start(either_db, project, experiment=name) for name in ("one", "other")]
    start(either_db, project, experiment="one")
    either_db.write_blocking(lambda tx: change_many(tx, ANNA, project, chosen, BulkRuns("tag", tags={"set": "a"})))
    assert set(found(either_db, project, Condition("tag", "set", "=", "a"))) == set(chosen)


def test_an_experiment_never_stands_in_for_one_that_is_gone(either_db: Database) -> None:
    """What is left of its runs must not show up in an experiment that comes after it."""
    project = a_project()

    def serial(tx: Tx, id_: str) -> int:
        found: int = tx.scalar(select(experiment.c.serial).where(experiment.c.id == id_))
        return found

    def create(tx: Tx) -> str:
        return actions.create_experiment(tx, ANNA, project, new_id())

    gone = either_db.write_blocking(create)
    was = either_db.read_blocking(lambda tx: serial(tx, gone))
    run_id = start(either_db, project, experiment_id=gone, params={"secret": "7"})
    either_db.write_blocking(lambda tx: purging.take_out(tx, project, [run_id], 1000))  # type: ignore[arg-type]
    either_db.write_blocking(lambda tx: purging.delete_experiment_row(tx, project, gone))
    after = either_db.write_blocking(create)
    assert either_db.read_blocking(lambda tx: serial(tx, after)) > was
    assert either_db.read_blocking(lambda tx: known.keys_there_are(tx, project, "param")) == []
