"""Latest values, on both databases."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.clock import Millis
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.types import ParamChanged
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate

PROJECT = ProjectId("5" * 32)


def start(db: Database, **wanted: object) -> str:
    anna = Actor(id="a" * 32, name="anna", kind="user", via="token:1")
    return db.write_blocking(lambda tx: actions.create_run(tx, anna, PROJECT, RunCreate(**wanted)))  # type: ignore[arg-type]


def log(db: Database, run_id: str, batch: LogBatch) -> None:
    db.write_blocking(lambda tx: actions.log(tx, PROJECT, run_id, batch, Millis(1000)))


points = st.builds(
    MetricPoint,
    st.sampled_from(["a", "b"]),
    st.just("NaN") | st.floats(allow_nan=False, width=32) | st.sampled_from(["Infinity", "-Infinity"]),
    st.integers(0, 3),
    st.integers(0, 2),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logged=st.lists(points, min_size=1, max_size=12), size=st.integers(1, 5))
def test_the_database_folds_points_as_the_rule_does(either_db: Database, logged: list[MetricPoint], size: int) -> None:
    run_id = start(either_db)
    for begin in range(0, len(logged), size):
        log(either_db, run_id, LogBatch(metrics=logged[begin : begin + size]))
    for summary in either_db.read_blocking(lambda tx: queries.metric_summaries(tx, PROJECT, run_id)):
        mine = [p for p in logged if p.key == summary.key]
        numbers = [float(p.value) for p in mine if p.value != "NaN"]
        best = max(mine, key=lambda p: (p.step, p.ts, p.value != "NaN", -math.inf if p.value == "NaN" else float(p.value)))
        assert (summary.step, summary.ts, summary.count) == (best.step, best.ts, len(mine))
        assert str(summary.value) == str(best.value) or float(summary.value) == float(best.value)
        assert (summary.min is None) == (not numbers)
        assert not numbers or (float(summary.min), float(summary.max)) == (min(numbers), max(numbers))


def test_a_refused_batch_leaves_nothing_on_either_database(either_db: Database) -> None:
    run_id = start(either_db, params={"depth": "7"}, tags={"a": "1"})
    with pytest.raises(ParamChanged):
        log(either_db, run_id, LogBatch(metrics=[MetricPoint("auc", 1.0)], params={"depth": "8"}, tags={"a": "2"}))
    found = either_db.read_blocking(lambda tx: queries.run_detail(tx, PROJECT, run_id))
    assert found is not None
    assert (found.metrics, found.params, found.tags) == ([], {"depth": "7"}, {"a": "1"})


def test_a_silent_run_is_found_on_either_database(either_db: Database) -> None:
    run_id = start(either_db)
    either_db.write_blocking(lambda tx: actions.heartbeat(tx, PROJECT, run_id, Millis(1000)))
    assert either_db.write_blocking(lambda tx: actions.mark_lost(tx, Millis(2000))) == 1
    log(either_db, run_id, LogBatch(metrics=[MetricPoint("auc", 1.0)]))
    found = either_db.read_blocking(lambda tx: queries.run_info(tx, PROJECT, run_id))
    assert found is not None
    assert (found.status, found.ended) == ("running", None)
    assert either_db.read_blocking(lambda tx: queries.experiments(tx, PROJECT))[0].running >= 1
