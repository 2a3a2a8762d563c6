"""Many runs at once, retention rules, and deleting for good, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from tilth.backends.sql import blob_use
from tilth.core.clock import DAY, Millis, now
from tilth.core.hashing import content_address
from tilth.core.ids import ProjectId, new_id
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.actions import care, purging, retention, rounds
from tilth.domains.tracking.queries import care as wanted_runs
from tilth.domains.tracking.queries import purging as gone
from tilth.domains.tracking.types import RunDeleted, RunIdTaken, UnknownRun
from tilth.wire.care import BulkRuns, RetentionCreate
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate, RunUpdate


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(new_id())


@pytest.fixture
def make(either_db, project, anna):
    """Starts a run that logged three points, a param, a tag and an artifact; finished unless told otherwise."""

    def one(name: str = "one", experiment: str = "e", status: str = "finished", text: bytes = b"bytes") -> str:
        wanted = RunCreate(name=name, experiment=experiment, params={"depth": "3"}, tags={"team": "a"})
        run_id = either_db.write_blocking(lambda tx: actions.create_run(tx, anna, project, wanted))
        points = [MetricPoint("auc", 0.5 + step / 10, step=step, ts=1000 + step) for step in range(3)]
        either_db.write_blocking(lambda tx: actions.log(tx, project, run_id, LogBatch(metrics=points), Millis(1)))
        digest = content_address(text)
        either_db.write_blocking(
            lambda tx: actions.add_artifact(
                tx, project, run_id, "a.txt", digest=digest, size=len(text), content_type="text/plain"
            )
        )
        if status != "running":
            either_db.write_blocking(lambda tx: actions.update_run(tx, anna, project, run_id, RunUpdate(status=status)))
        return run_id

    return one


def change(db, actor, project, ids, **wanted):
    return db.write_blocking(lambda tx: care.change_many(tx, actor, project, ids, BulkRuns(**wanted)))


def test_a_bulk_change_tells_which_runs_it_changed_and_does_nothing_twice(either_db, project, anna, make):
    ids = sorted(make(f"run {n}") for n in range(3))
    assert change(either_db, anna, project, ids, do="archive") == ids
    assert change(either_db, anna, project, ids, do="archive") == []
    assert change(either_db, anna, project, ids[:1], do="unarchive") == ids[:1]
    assert change(either_db, anna, project, ids[1:], do="delete") == ids[1:]
    assert change(either_db, anna, project, ids, do="restore") == ids[1:]


def test_a_bulk_change_with_an_unknown_run_changes_none(either_db, project, anna, make):
    run_id = make()
    with pytest.raises(UnknownRun):
        change(either_db, anna, project, [run_id, "0" * 32], do="delete")
    assert not either_db.read_blocking(lambda tx: queries.run_info(tx, project, run_id)).deleted


def test_a_run_of_another_project_is_unknown_to_a_bulk_change(either_db, anna, make):
    run_id = make()
    with pytest.raises(UnknownRun):
        change(either_db, anna, ProjectId(new_id()), [run_id], do="delete")


def test_a_moved_run_takes_its_metrics_and_params_along(either_db, project, anna, make):
    run_id = make(experiment="from")
    make(experiment="to")
    assert change(either_db, anna, project, [run_id], do="move", to="to") == [run_id]
    info = either_db.read_blocking(lambda tx: queries.run_info(tx, project, run_id))
    assert info.experiment == "to"
    latest = either_db.read_blocking(lambda tx: queries.latest_metrics(tx, project, [run_id]))
    assert latest[run_id]["auc"] == pytest.approx(0.7)


def test_a_deleted_run_is_neither_tagged_nor_archived(either_db, project, anna, make):
    run_id = make()
    change(either_db, anna, project, [run_id], do="delete")
    with pytest.raises(RunDeleted):
        change(either_db, anna, project, [run_id], do="tag", tags={"a": "b"})
    with pytest.raises(RunDeleted):
        change(either_db, anna, project, [run_id], do="archive")


def purge_all(db, project, actor, before=None):
    async def purged():
        found = await rounds.purge(db, actor, project, Millis(now() + 1) if before is None else before)
        await rounds.remove_all_leftovers(db)
        return found

    return asyncio.run(purged())


def test_a_purged_run_leaves_no_row_and_lets_go_of_its_bytes(either_db, project, anna, make):
    kept, run_id = make("kept", text=b"kept"), make("gone", text=b"of the run that goes")
    change(either_db, anna, project, [run_id], do="delete")
    assert purge_all(either_db, project, anna) == (1, 0)
    assert either_db.read_blocking(lambda tx: queries.run_info(tx, project, run_id)) is None
    for table in gone._ROWS:
        assert either_db.read_blocking(lambda tx, table=table: tx.all(table.select().where(table.c.run_id == run_id))) == []
    digests = [content_address(b"kept"), content_address(b"of the run that goes")]
    assert either_db.read_blocking(lambda tx: blob_use.claimed(tx, digests)) == {digests[0]}
    assert either_db.read_blocking(lambda tx: queries.latest_metrics(tx, project, [kept]))[kept]


def test_a_run_that_was_deleted_too_lately_stays(either_db, project, anna, make):
    run_id = make()
    change(either_db, anna, project, [run_id], do="delete")
    assert purge_all(either_db, project, anna, before=Millis(now() - DAY)) == (0, 0)
    change(either_db, anna, project, [run_id], do="restore")


def test_a_deleted_experiment_goes_with_all_its_runs(either_db, project, anna, make):
    either_db.write_blocking(lambda tx: actions.create_default_experiment(tx, project))
    run_id = make(experiment="doomed")
    experiment_id = either_db.read_blocking(lambda tx: queries.experiment_row(tx, project, name="doomed")).id
    either_db.write_blocking(lambda tx: actions.delete_experiment(tx, anna, project, experiment_id))
    assert purge_all(either_db, project, anna) == (1, 1)
    assert either_db.read_blocking(lambda tx: queries.experiment_row(tx, project, name="doomed")) is None
    assert either_db.read_blocking(lambda tx: queries.run_info(tx, project, run_id)) is None


def test_who_writes_to_a_run_that_is_being_purged_is_refused(either_db, project, anna, make):
    run_id = make()
    change(either_db, anna, project, [run_id], do="delete")
    either_db.write_blocking(lambda tx: purging.purge_runs(tx, anna, project, Millis(now() + 1)))
    with pytest.raises(UnknownRun):
        either_db.write_blocking(
            lambda tx: actions.log(tx, project, run_id, LogBatch(metrics=[MetricPoint("a", 1.0)]), Millis(1))
        )
    with pytest.raises(UnknownRun):
        change(either_db, anna, project, [run_id], do="restore")
    with pytest.raises(RunIdTaken):
        either_db.write_blocking(lambda tx: actions.create_run(tx, anna, project, RunCreate(id=run_id)))
    while not either_db.write_blocking(lambda tx: purging.remove_leftovers(tx, project, run_id)):
        pass


def apply(db, project, actor, at, dry_run=False, spared=()):
    return asyncio.run(rounds.apply_rules(db, actor, project, at, spares=lambda tx, project, ids: set(spared), dry_run=dry_run))


def test_a_rule_reaches_only_ended_runs_that_are_old_enough(either_db, project, anna, make):
    old, running = make("old"), make("running", status="running")
    either_db.write_blocking(lambda tx: retention.add_rule(tx, anna, project, RetentionCreate(action="delete", after_days=7)))
    assert apply(either_db, project, anna, now()).steps == []
    planned = apply(either_db, project, anna, Millis(now() + 8 * DAY), dry_run=True)
    assert [step.runs for step in planned.steps] == [[old]]
    assert not either_db.read_blocking(lambda tx: queries.run_info(tx, project, old)).deleted
    apply(either_db, project, anna, Millis(now() + 8 * DAY))
    assert either_db.read_blocking(lambda tx: queries.run_info(tx, project, old)).deleted
    assert not either_db.read_blocking(lambda tx: queries.run_info(tx, project, running)).deleted


@pytest.mark.parametrize("action", ["delete", "drop_points", "drop_artifacts"])
def test_a_run_that_is_needed_loses_nothing_by_a_rule(either_db, project, anna, make, action):
    needed, other = make("needed"), make("other")
    either_db.write_blocking(lambda tx: retention.add_rule(tx, anna, project, RetentionCreate(action=action, after_days=0)))
    report = apply(either_db, project, anna, Millis(now() + DAY), spared=[needed])
    assert ([step.runs for step in report.steps], report.spared) == ([[other]], 1)
    # A step that was planned before the run was needed leaves it alone, too.
    stale = report.steps[0]
    stale.runs = [needed]
    either_db.write_blocking(lambda tx: retention.apply(tx, anna, project, stale, lambda tx, project, ids: {needed}))
    assert not either_db.read_blocking(lambda tx: queries.run_info(tx, project, needed)).deleted
    assert len(either_db.read_blocking(lambda tx: queries.artifacts_of(tx, project, needed))) == 1
    assert either_db.read_blocking(lambda tx: wanted_runs.runs_with_points(tx, project, [needed])) == [needed]


def test_a_run_that_is_needed_still_goes_out_of_sight(either_db, project, anna, make):
    needed = make("needed")
    either_db.write_blocking(lambda tx: retention.add_rule(tx, anna, project, RetentionCreate(action="archive", after_days=0)))
    report = apply(either_db, project, anna, Millis(now() + DAY), spared=[needed])
    assert ([step.runs for step in report.steps], report.spared) == ([[needed]], 0)


def test_dropped_points_leave_the_summary_and_are_planned_once(either_db, project, anna, make):
    run_id = make()
    either_db.write_blocking(
        lambda tx: retention.add_rule(tx, anna, project, RetentionCreate(action="drop_points", after_days=0))
    )
    later = Millis(now() + DAY)
    assert [step.count for step in apply(either_db, project, anna, later).steps] == [3]
    assert apply(either_db, project, anna, later).steps == []
    assert either_db.read_blocking(lambda tx: queries.latest_metrics(tx, project, [run_id]))[run_id]["auc"] == pytest.approx(0.7)


def test_dropped_artifacts_of_a_filter_let_go_of_their_bytes(either_db, project, anna, make):
    text = new_id().encode()
    kept, hit = make("kept", text=b"x" + text), make("hit", text=text)
    rule = RetentionCreate(action="drop_artifacts", after_days=0, filter="name=hit")
    either_db.write_blocking(lambda tx: retention.add_rule(tx, anna, project, rule))
    (step,) = apply(either_db, project, anna, Millis(now() + DAY)).steps
    assert (step.runs, step.count, step.bytes) == ([hit], 1, len(text))
    assert either_db.read_blocking(lambda tx: queries.artifacts_of(tx, project, hit)) == []
    assert len(either_db.read_blocking(lambda tx: queries.artifacts_of(tx, project, kept))) == 1
