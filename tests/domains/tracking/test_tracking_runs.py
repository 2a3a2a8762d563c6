"""Runs and what they log, against a real database."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.clock import Millis
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import InvalidName
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.jobs import HeartbeatSweep
from tilth.domains.tracking.types import (
    DefaultExperimentStays,
    ExperimentDeleted,
    ExperimentExists,
    ParamChanged,
    RunDeleted,
    RunIdTaken,
    UnknownExperiment,
    UnknownRun,
)
from tilth.wire.tracking import DatasetInput, ExperimentUpdate, LogBatch, MetricPoint, RunCreate, RunDetail, RunUpdate

Start = Callable[..., str]
Log = Callable[..., None]


@pytest.fixture
def detail(db: Database, project: ProjectId) -> Callable[[str], RunDetail]:
    def read(run_id: str) -> RunDetail:
        found = db.read_blocking(lambda tx: queries.run_detail(tx, project, run_id))
        assert found is not None
        return found

    return read


@pytest.fixture
def change(db: Database, project: ProjectId, anna: Actor) -> Callable[..., None]:
    def change_run(run_id: str, **fields: Any) -> None:
        db.write_blocking(lambda tx: actions.update_run(tx, anna, project, run_id, RunUpdate(**fields)))

    return change_run


def audited(db: Database) -> list[str]:
    return [row.action for row in db.read_blocking(lambda tx: tx.all(text("SELECT action FROM audit_event ORDER BY position")))]


def events(db: Database) -> list[str]:
    return [row.event for row in db.read_blocking(lambda tx: tx.all(text("SELECT event FROM outbox ORDER BY id")))]


def test_a_run_without_a_name_gets_one_and_goes_to_the_default_experiment(start: Start, detail: Any) -> None:
    info = detail(start()).run
    assert info.name.count("-") == 2
    assert (info.experiment, info.status, info.user_name, info.ended) == ("Default", "running", "anna", None)


def test_a_named_experiment_is_made_once(db: Database, project: ProjectId, start: Start) -> None:
    start(experiment="churn")
    start(experiment="churn")
    found = db.read_blocking(lambda tx: queries.experiments(tx, project))
    assert [(e.name, e.number, e.runs, e.running) for e in found] == [("churn", 1, 2, 2), ("Default", 0, 0, 0)]


def test_the_default_experiment_has_number_0_and_stays(db: Database, project: ProjectId, anna: Actor) -> None:
    first = db.write_blocking(lambda tx: actions.create_default_experiment(tx, project))
    assert db.write_blocking(lambda tx: actions.create_default_experiment(tx, project)) == first
    with pytest.raises(DefaultExperimentStays):
        db.write_blocking(lambda tx: actions.delete_experiment(tx, anna, project, first))


def test_a_deleted_experiment_takes_no_runs_until_it_is_restored(
    db: Database, project: ProjectId, anna: Actor, start: Start
) -> None:
    db.write_blocking(lambda tx: actions.create_default_experiment(tx, project))
    churn = db.write_blocking(lambda tx: actions.create_experiment(tx, anna, project, "churn", {"team": "x"}))
    db.write_blocking(lambda tx: actions.delete_experiment(tx, anna, project, churn))
    with pytest.raises(ExperimentDeleted):
        start(experiment="churn")
    with pytest.raises(ExperimentExists, match="restore it"):
        db.write_blocking(lambda tx: actions.create_experiment(tx, anna, project, "churn"))
    db.write_blocking(lambda tx: actions.restore_experiment(tx, anna, project, churn))
    start(experiment="churn")
    assert audited(db) == ["experiment.created", "experiment.deleted", "experiment.restored"]


def test_an_experiment_is_renamed_and_tagged(db: Database, project: ProjectId, anna: Actor) -> None:
    churn = db.write_blocking(lambda tx: actions.create_experiment(tx, anna, project, "churn"))
    db.write_blocking(lambda tx: actions.update_experiment(tx, anna, project, churn, ExperimentUpdate("leave", {"a": "1"})))
    found = db.read_blocking(lambda tx: queries.experiment_detail(tx, project, churn))
    assert found is not None
    assert (found.name, found.tags) == ("leave", {"a": "1"})
    assert audited(db) == ["experiment.created", "experiment.renamed", "experiment.tagged"]


def test_a_repeated_request_with_one_id_makes_one_run(start: Start, db: Database, project: ProjectId) -> None:
    run_id = new_id()
    assert start(id=run_id, name="once") == start(id=run_id, name="once") == run_id
    assert db.read_blocking(lambda tx: queries.runs_page(tx, project)).total == 1


def test_the_id_of_somebody_elses_run_is_taken(start: Start, db: Database, anna: Actor) -> None:
    run_id = start()
    with pytest.raises(RunIdTaken):
        db.write_blocking(lambda tx: actions.create_run(tx, anna, ProjectId("2" * 32), RunCreate(id=run_id)))


def test_another_project_sees_and_writes_nothing(start: Start, log: Log, db: Database, project: ProjectId, anna: Actor) -> None:
    run_id = start()
    log(run_id, auc=0.5)
    other = ProjectId("2" * 32)
    assert db.read_blocking(lambda tx: queries.run_detail(tx, other, run_id)) is None
    assert db.read_blocking(lambda tx: queries.latest_metrics(tx, other, [run_id])) == {}
    assert db.read_blocking(lambda tx: queries.metric_histories(tx, other, run_id, ["auc"])) == {}
    with pytest.raises(UnknownRun):
        db.write_blocking(lambda tx: actions.log(tx, other, run_id, LogBatch(), Millis(0)))
    with pytest.raises(UnknownRun):
        db.write_blocking(lambda tx: actions.delete_run(tx, anna, other, run_id))
    with pytest.raises(UnknownRun):
        db.write_blocking(lambda tx: actions.create_run(tx, anna, other, RunCreate(parent_run_id=run_id)))
    info = db.read_blocking(lambda tx: queries.run_info(tx, project, run_id))
    assert info is not None
    with pytest.raises(UnknownExperiment):
        db.write_blocking(lambda tx: actions.create_run(tx, anna, other, RunCreate(experiment_id=info.experiment_id)))


def test_the_last_value_is_the_one_of_the_greatest_step(start: Start, log: Log, detail: Any) -> None:
    run_id = start()
    log(run_id, loss=0.5, step=1)
    log(run_id, loss=0.2, step=3)
    log(run_id, loss=0.9, step=2)
    (loss,) = detail(run_id).metrics
    assert (loss.value, loss.step, loss.min, loss.max, loss.count) == (0.2, 3, 0.2, 0.9, 3)


def test_nan_and_infinities_are_legal_metrics(start: Start, log: Log, detail: Any, db: Database, project: ProjectId) -> None:
    run_id = start()
    log(run_id, nan="NaN", up="Infinity", down="-Infinity")
    assert {m.key: m.value for m in detail(run_id).metrics} == {"nan": "NaN", "up": "Infinity", "down": "-Infinity"}
    values = db.read_blocking(lambda tx: queries.latest_metrics(tx, project, [run_id]))[run_id]
    assert math.isnan(values["nan"])
    assert (values["up"], values["down"]) == (math.inf, -math.inf)
    (up,) = db.read_blocking(lambda tx: queries.metric_histories(tx, project, run_id, ["up"])).values()
    assert up.points == [(0, 1000, "Infinity")]


def test_a_batch_that_is_sent_twice_counts_once(start: Start, log: Log, detail: Any) -> None:
    run_id = start()
    batch = LogBatch(metrics=[MetricPoint("loss", 1.0)], writer="w", number=1)
    log(run_id, batch)
    log(run_id, batch)
    log(run_id, LogBatch(metrics=[MetricPoint("loss", 2.0, step=1)], writer="w", number=2))
    log(run_id, LogBatch(metrics=[MetricPoint("loss", 3.0, step=2)], writer="v", number=1))
    assert detail(run_id).metrics[0].count == 3


def test_params_are_written_once(start: Start, log: Log, detail: Any) -> None:
    run_id = start(params={"depth": "7"})
    log(run_id, LogBatch(params={"depth": "7", "rate": "0.1"}))
    with pytest.raises(ParamChanged, match="'7' and cannot become '8'"):
        log(run_id, LogBatch(params={"depth": "8"}))
    assert detail(run_id).params == {"depth": "7", "rate": "0.1"}


def test_a_batch_is_kept_whole_or_not_at_all(start: Start, log: Log, detail: Any) -> None:
    run_id = start(params={"depth": "7"})
    with pytest.raises(ParamChanged):
        log(run_id, LogBatch(metrics=[MetricPoint("auc", 1.0)], params={"depth": "8"}, tags={"a": "b"}, writer="w", number=1))
    found = detail(run_id)
    assert (found.metrics, found.tags) == ([], {})
    log(run_id, LogBatch(metrics=[MetricPoint("auc", 1.0)], writer="w", number=1))
    assert detail(run_id).metrics[0].count == 1


def test_tags_change_and_go(start: Start, log: Log, detail: Any) -> None:
    run_id = start(tags={"a": "1", "b": "2"})
    log(run_id, LogBatch(tags={"a": "3", "b": None, "c": "4"}))
    assert detail(run_id).tags == {"a": "3", "c": "4"}


def test_the_data_that_a_run_read_is_noted(start: Start, log: Log, detail: Any) -> None:
    run_id = start()
    data = DatasetInput("flights", "d" * 64, "training", "frame", "nycflights13", '[{"name":"a"}]', '{"rows":3}')
    log(run_id, LogBatch(inputs=[data]))
    log(run_id, LogBatch(inputs=[data]))
    assert detail(run_id).inputs == [data]


def test_a_deleted_run_takes_nothing_until_it_is_restored(
    start: Start, log: Log, db: Database, project: ProjectId, anna: Actor, change: Any
) -> None:
    run_id = start()
    db.write_blocking(lambda tx: actions.delete_run(tx, anna, project, run_id))
    with pytest.raises(RunDeleted, match=f"tilth run restore {run_id}"):
        log(run_id, auc=1.0)
    with pytest.raises(RunDeleted):
        change(run_id, notes="x")
    with pytest.raises(RunDeleted):
        db.write_blocking(lambda tx: actions.heartbeat(tx, project, run_id, Millis(0)))
    assert db.read_blocking(lambda tx: queries.runs_page(tx, project)).total == 0
    assert db.read_blocking(lambda tx: queries.runs_page(tx, project, lifecycle="deleted")).total == 1
    db.write_blocking(lambda tx: actions.restore_run(tx, anna, project, run_id))
    log(run_id, auc=1.0)
    assert audited(db) == ["run.deleted", "run.restored"]


def test_ending_a_run_is_told_once(start: Start, change: Any, detail: Any, db: Database) -> None:
    run_id = start()
    change(run_id, status="finished")
    change(run_id, status="finished")
    found = detail(run_id).run
    assert found.status == "finished"
    assert found.ended is not None
    assert events(db) == ["run.ended"]


def test_a_resumed_run_has_no_end(start: Start, change: Any, detail: Any) -> None:
    run_id = start()
    change(run_id, status="failed", error="Traceback ...")
    change(run_id, status="running")
    found = detail(run_id)
    assert (found.run.status, found.run.ended, found.error) == ("running", None, "")


def test_edits_by_people_are_audited_and_what_a_run_logs_is_not(start: Start, log: Log, change: Any, db: Database) -> None:
    run_id = start(tags={"a": "b"})
    log(run_id, auc=1.0)
    change(run_id, name="better", notes="**why**")
    assert audited(db) == ["run.renamed", "run.annotated"]


def test_names_of_runs_follow_the_rules(start: Start) -> None:
    with pytest.raises(InvalidName):
        start(name="a\nb")


async def swept(db: Database, clock: list[int]) -> int:
    return await HeartbeatSweep(db, timeout_s=60, clock=lambda: Millis(clock.pop(0))).sweep()


def beat(db: Database, project: ProjectId, run_id: str, at: int) -> None:
    db.write_blocking(lambda tx: actions.heartbeat(tx, project, run_id, Millis(at)))


def test_a_silent_run_is_lost_and_runs_again_when_it_writes(
    start: Start, log: Log, detail: Any, db: Database, project: ProjectId
) -> None:
    silent, alive, plain = start(), start(), start()
    beat(db, project, silent, 1_000)
    beat(db, project, alive, 50_000)
    assert db.write_blocking(lambda tx: actions.mark_lost(tx, Millis(40_000))) == 1
    lost = detail(silent)
    assert (lost.run.status, lost.run.ended) == ("lost", 1_000)
    assert "heartbeats" in lost.error
    assert (detail(alive).run.status, detail(plain).run.status) == ("running", "running")
    assert events(db) == ["run.ended"]
    log(silent, auc=1.0, at=60_000)
    back = detail(silent)
    assert (back.run.status, back.run.ended, back.run.last_heartbeat, back.error) == ("running", None, 60_000, "")


def test_no_run_is_lost_within_one_timeout_of_a_start(start: Start, detail: Any, db: Database, project: ProjectId) -> None:
    run_id = start()
    beat(db, project, run_id, 1_000)
    assert asyncio.run(swept(db, [100_000, 159_000])) == 0
    assert asyncio.run(swept(db, [100_000, 161_000])) == 1
    assert detail(run_id).run.status == "lost"


def test_nested_runs_hang_below_their_parent(start: Start, detail: Any) -> None:
    parent = start(name="search")
    child = start(name="trial", parent_run_id=parent)
    assert [run.id for run in detail(parent).children] == [child]


def test_long_histories_are_thinned_and_keep_their_spikes(start: Start, log: Log, db: Database, project: ProjectId) -> None:
    run_id = start()
    for begin in range(0, 5000, 1000):
        log(
            run_id,
            LogBatch(metrics=[MetricPoint("loss", 99.0 if n == 2345 else 1.0, step=n) for n in range(begin, begin + 1000)]),
        )
    history = db.read_blocking(lambda tx: queries.metric_histories(tx, project, run_id, ["loss", "none"]))
    assert list(history) == ["loss"]
    loss = history["loss"]
    assert loss.total == 5000
    assert len(loss.points) <= 2000
    assert (2345, 1000, 99.0) in loss.points
