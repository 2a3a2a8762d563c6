"""What the MLflow adapter asks the database, on both databases."""

from __future__ import annotations

import math

import pytest

from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.queries.experiment_search import experiment_numbered, experiment_tags, experiments_page
from tilth.domains.tracking.queries.raw_points import points_page, sampled_points
from tilth.domains.tracking.queries.whole import keys_of, whole_run, whole_runs
from tilth.domains.tracking.rules.experiment_filters import parse_experiment_filter, parse_experiment_orders
from tilth.domains.tracking.types import RunDeleted, RunIsItsOwnAncestor
from tilth.wire.tracking import DatasetInput, LogBatch, MetricPoint, RunCreate, RunUpdate


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(new_id())


@pytest.fixture
def write(either_db):
    return either_db.write_blocking


@pytest.fixture
def read(either_db):
    return either_db.read_blocking


@pytest.fixture
def start(write, project, anna):
    def one(**fields) -> str:
        return write(lambda tx: actions.create_run(tx, anna, project, RunCreate(**fields)))

    return one


@pytest.fixture
def found(write, read, project, anna):
    """Names of the experiments that a filter finds, in the order asked for."""
    for name, tags in (("Abc", {"team": "a_b"}), ("abd", {"team": "axb"}), ("x*y", {}), ("xzy", {"team": "a*"})):
        write(lambda tx, name=name, tags=tags: actions.create_experiment(tx, anna, project, name, tags))

    def ask(text: str, *order: str, lifecycle: str = "active") -> list[str]:
        terms, orders = parse_experiment_filter(text), parse_experiment_orders(order or ("name",))
        page = read(lambda tx: experiments_page(tx, project, terms=terms, orders=orders, lifecycle=lifecycle, limit=50, offset=0))
        return [row.name for row in page]

    return ask


def test_the_first_experiment_of_a_project_is_number_zero_whoever_comes_first(write, read, project, anna):
    write(lambda tx: actions.create_experiment(tx, anna, project, "mine"))
    assert [read(lambda tx, n=n: experiment_numbered(tx, project, n)).name for n in (0, 1)] == ["Default", "mine"]
    assert read(lambda tx: experiment_numbered(tx, ProjectId(new_id()), 0)) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name LIKE 'ab%'", ["abd"]),
        ("name ILIKE 'AB%'", ["Abc", "abd"]),
        ("name LIKE 'x_y'", ["x*y", "xzy"]),
        ("name LIKE 'x*y'", ["x*y"]),
        ("name LIKE 'x%\\'", []),
        ("name ILIKE 'É%'", []),
        ("tags.team = 'a_b'", ["Abc"]),
        ("tags.team LIKE 'a_b'", ["Abc", "abd"]),
        ("tags.team != 'a_b'", ["abd", "xzy"]),
        ("tags.team IS NULL", ["Default", "x*y"]),
        ("tags.team IS NOT NULL AND name != 'xzy'", ["Abc", "abd"]),
        ("experiment_id IN ('1', '2')", ["Abc", "abd"]),
        ("experiment_id NOT IN ('0', '1', '2')", ["x*y", "xzy"]),
        ("creation_time > 0 AND last_update_time >= 0 AND experiment_id = '3'", ["x*y"]),
        ("creation_time < 99999999999999999999999 AND name = 'Abc'", ["Abc"]),
    ],
)
def test_experiments_are_found_alike_on_both_databases(found, text, names):
    assert found(text) == names


def test_experiments_are_ordered_by_several_fields(found):
    assert found("", "creation_time ASC", "experiment_id DESC") == found("", "creation_time", "experiment_id DESC")
    assert found("", "experiment_id DESC") == ["xzy", "x*y", "abd", "Abc", "Default"]


def test_tags_of_an_experiment_come_and_go(write, read, project, anna):
    id_ = write(lambda tx: actions.create_experiment(tx, anna, project, "tagged", {"a": "1", "b": "2"}))
    assert write(lambda tx: actions.remove_experiment_tag(tx, anna, project, id_, "a")) is True
    assert write(lambda tx: actions.remove_experiment_tag(tx, anna, project, id_, "a")) is False
    assert read(lambda tx: experiment_tags(tx, project, [id_])) == {id_: {"b": "2"}}
    assert read(lambda tx: experiment_tags(tx, ProjectId(new_id()), [id_])) == {}


def test_deleting_an_experiment_deletes_its_runs_and_restoring_brings_back_those(write, read, project, anna, start):
    before, with_it = start(experiment="e"), start(experiment="e")
    id_ = read(lambda tx: queries.experiment_row(tx, project, name="e")).id
    write(lambda tx: actions.delete_run(tx, anna, project, before))
    # A run that was deleted a moment earlier must stay deleted: the clock counts milliseconds.
    while read(lambda tx: whole_run(tx, project, before)).run.deleted_at == now():
        pass
    write(lambda tx: actions.delete_experiment(tx, anna, project, id_))
    with pytest.raises(RunDeleted):
        write(lambda tx: actions.log(tx, project, with_it, LogBatch(), 0))
    write(lambda tx: actions.restore_experiment(tx, anna, project, id_))
    gone = {run.run.id: run.run.deleted_at is not None for run in read(lambda tx: whole_runs(tx, project, [before, with_it]))}
    assert gone == {before: True, with_it: False}


def test_a_whole_run_has_everything_and_only_in_its_project(write, read, project, start):
    run_id = start(params={"depth": "6"}, tags={"team": "ops"})
    data = DatasetInput(name="d", digest="1", context="training", tags={"fold": "1"})
    points = [MetricPoint(key="m", value="NaN", step=1, ts=5), MetricPoint(key="m", value=2.0, step=0, ts=9)]
    write(lambda tx: actions.log(tx, project, run_id, LogBatch(metrics=points, inputs=[data]), 0))
    write(lambda tx: actions.link_models(tx, project, run_id, "input", [("m-1", 0)], 0))
    write(lambda tx: actions.link_models(tx, project, run_id, "output", [("m-2", 7), ("m-3", 8)], 0))
    whole = read(lambda tx: whole_run(tx, project, run_id))
    assert (keys_of(whole.params), keys_of(whole.tags)) == ({"depth": "6"}, {"team": "ops"})
    assert [(row.key, row.value, row.step) for row in whole.metrics] == [("m", None, 1)]
    assert [(row.name, row.context, row.tags) for row in whole.inputs] == [("d", "training", {"fold": "1"})]
    assert sorted((row.model_id, row.direction, row.step) for row in whole.models) == [
        ("m-1", "input", 0),
        ("m-2", "output", 7),
        ("m-3", "output", 8),
    ]
    other = ProjectId(new_id())
    assert read(lambda tx: whole_run(tx, other, run_id)) is None
    assert read(lambda tx: whole_runs(tx, other, [run_id])) == []


def test_many_whole_runs_keep_the_order_asked_for(read, project, start):
    made = [start(name=f"r{n}") for n in range(5)]
    wanted = [made[3], made[0], new_id(), made[4]]
    assert [run.run.id for run in read(lambda tx: whole_runs(tx, project, wanted))] == [made[3], made[0], made[4]]


@pytest.mark.parametrize("value", [0.0, -0.0, 1e308, -5.5, "NaN", "Infinity"])
def test_a_repeated_point_is_kept_once_and_counted_once(write, read, project, start, value):
    run_id = start()
    batch = LogBatch(metrics=[MetricPoint(key="m", value=value, step=1, ts=2)])
    more = LogBatch(metrics=[*batch.metrics, MetricPoint(key="m", value=4.0, step=1, ts=3), *batch.metrics])
    for each in (batch, batch, more, more):
        write(lambda tx, each=each: actions.log(tx, project, run_id, each, 0, once=True))
    assert len(read(lambda tx: points_page(tx, run_id, "m", limit=10, offset=0))) == 2
    (summary,) = read(lambda tx: queries.metric_summaries(tx, project, run_id))
    assert (summary.value, summary.count) == (4.0, 2)


def test_points_come_by_moment_then_step_then_value(write, read, project, start):
    run_id = start()
    points = [(3.0, 9, 1), (1.0, 5, 2), (2.0, 5, 2), (math.inf, 5, 0)]
    metrics = [MetricPoint(key="m", value=value, ts=ts, step=step) for value, ts, step in points]
    write(lambda tx: actions.log(tx, project, run_id, LogBatch(metrics=metrics), 0, once=True))
    rows = read(lambda tx: points_page(tx, run_id, "m", limit=3, offset=1))
    assert [(row.ts, row.step, row.value) for row in rows] == [(5, 2, 1.0), (5, 2, 2.0), (9, 1, 3.0)]


@pytest.mark.parametrize(("count", "most", "kept"), [(100, 10, 10), (5, 10, 5), (1, 1, 1), (0, 3, 0), (7, 1, 1)])
def test_a_sample_ends_where_the_curve_ends(write, read, project, start, count, most, kept):
    run_id = start()
    metrics = [MetricPoint(key="m", value=float(n), ts=n, step=n) for n in range(count)]
    write(lambda tx: actions.log(tx, project, run_id, LogBatch(metrics=metrics), 0, once=True))
    steps = [row.step for row in read(lambda tx: sampled_points(tx, run_id, "m", most=most, steps=None))]
    assert (len(steps), sorted(steps) == steps) == (kept, True)
    assert steps[-1:] == [count - 1][:count]


def test_a_run_does_not_become_its_own_ancestor(write, project, anna, start):
    grandparent = start()
    parent = start(parent_run_id=grandparent)
    child = start(parent_run_id=parent)
    with pytest.raises(RunIsItsOwnAncestor):
        write(lambda tx: actions.update_run(tx, anna, project, grandparent, RunUpdate(parent_run_id=child)))
    write(lambda tx: actions.update_run(tx, anna, project, child, RunUpdate(parent_run_id=grandparent)))
