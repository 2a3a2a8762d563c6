"""Runs that come from elsewhere and runs that leave, on both databases."""

from __future__ import annotations

import json

import pytest

from tilth.core.clock import Millis
from tilth.core.ids import ProjectId, new_id
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.actions import imports
from tilth.domains.tracking.queries import exports
from tilth.domains.tracking.queries import imports as imported
from tilth.domains.tracking.types import BatchTooLarge, InvalidBatch
from tilth.wire.imports import MAX_IMPORT_POINTS, ImportedModel, ImportExperiment, ImportRun, ImportRuns
from tilth.wire.tracking import DatasetInput


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(new_id())


def a_run(run_id: str | None = None, **changed) -> ImportRun:
    values = {
        "id": run_id or new_id(),
        "experiment": "moved",
        "name": "kind-owl",
        "status": "finished",
        "started": 1_700_000_000_000,
        "ended": 1_700_000_060_000,
        "user_name": "ada",
        "params": {"depth": "7"},
        "tags": {"team": "a"},
        "metrics": {"auc": [(0, 10, 0.5), (1, 20, "NaN"), (1, 20, 0.7)], "inf": [(0, 1, "Infinity")]},
        "inputs": [DatasetInput("d", "1234", context="training", tags={"k": "v"})],
        "models": [ImportedModel("m-" + "0" * 32, "output", 3)],
    }
    return ImportRun(**{**values, **changed})


def land(db, actor, project, run):
    return db.write_blocking(lambda tx: imports.import_run(tx, actor, project, run, Millis(5)))


def test_an_imported_run_keeps_its_id_and_its_times_and_leaves_as_it_came(either_db, project, anna):
    either_db.write_blocking(
        lambda tx: imports.import_experiment(tx, anna, project, ImportExperiment("moved", 1_600_000_000_000))
    )
    run = a_run()
    assert land(either_db, anna, project, run) == "created"
    info = either_db.read_blocking(lambda tx: queries.run_info(tx, project, run.id))
    assert (info.started, info.ended, info.user_name, info.experiment) == (run.started, run.ended, "ada", "moved")
    page = either_db.read_blocking(lambda tx: exports.exported_runs(tx, project, "", 10))
    (left,) = page.runs
    assert (left.params, left.tags, left.inputs, left.models) == (run.params, run.tags, run.inputs, run.models)
    assert page.tallies[run.id].points == {"auc": 3, "inf": 1}
    points = either_db.read_blocking(lambda tx: exports.exported_points(tx, project, run.id, None, 100))
    assert sorted(points.points, key=str) == sorted(
        [("auc", 0, 10, 0.5), ("auc", 1, 20, "NaN"), ("auc", 1, 20, 0.7), ("inf", 0, 1, "Infinity")], key=str
    )


def test_points_leave_page_by_page(either_db, project, anna):
    run = a_run(metrics={"loss": [(step, step, 0.5) for step in range(25)]})
    land(either_db, anna, project, run)
    found, after = [], None
    while True:
        page = either_db.read_blocking(lambda tx, after=after: exports.exported_points(tx, project, run.id, after, 10))
        found += page.points
        if not page.after:
            break
        after = json.loads(page.after)
    assert [step for _, step, _, _ in found] == list(range(25))


def test_a_repeated_import_changes_nothing_and_a_foreign_id_is_told(either_db, project, anna):
    run = a_run()
    assert land(either_db, anna, project, run) == "created"
    assert land(either_db, anna, project, a_run(run.id, name="other")) == "exists"
    assert land(either_db, anna, ProjectId(new_id()), run) == "taken"
    assert either_db.read_blocking(lambda tx: queries.run_info(tx, project, run.id)).name == "kind-owl"
    owners = either_db.read_blocking(lambda tx: imported.owners_across_projects(tx, [run.id, new_id()]))
    assert owners == {run.id: project}


def test_a_run_of_another_project_is_neither_counted_nor_exported(either_db, project, anna):
    run = a_run()
    land(either_db, anna, project, run)
    stranger = ProjectId(new_id())
    assert either_db.read_blocking(lambda tx: imported.tallies(tx, stranger, [run.id])) == {}
    assert either_db.read_blocking(lambda tx: exports.exported_points(tx, stranger, run.id, None, 10)) is None
    assert either_db.read_blocking(lambda tx: exports.exported_runs(tx, stranger, "", 10)).runs == []


def test_a_deleted_run_comes_into_the_trash_and_does_not_leave(either_db, project, anna):
    run = a_run(deleted=1_700_000_100_000)
    land(either_db, anna, project, run)
    assert either_db.read_blocking(lambda tx: queries.run_info(tx, project, run.id)).deleted
    assert either_db.read_blocking(lambda tx: exports.exported_runs(tx, project, "", 10)).runs == []
    either_db.write_blocking(lambda tx: actions.restore_run(tx, anna, project, run.id))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"id": "short"}, InvalidBatch),
        ({"started": -1}, InvalidBatch),
        ({"metrics": {"a": [(0, 0, 1.0)] * (MAX_IMPORT_POINTS + 1)}}, BatchTooLarge),
    ],
)
def test_what_cannot_be_a_run_is_refused_before_anything_is_written(changed, error):
    with pytest.raises(error):
        imports.check_import(ImportRuns([a_run(**changed)] if "id" not in changed else [a_run(changed["id"])]))


def test_a_run_is_not_its_own_parent_and_holds_a_bounded_number_of_rows():
    run_id = new_id()
    with pytest.raises(InvalidBatch, match="parent"):
        imports.check_import(ImportRuns([a_run(run_id, parent_run_id=run_id)]))
    with pytest.raises(BatchTooLarge):
        imports.check_import(ImportRuns([a_run(params={f"p{n}": "1" for n in range(3000)})]))
