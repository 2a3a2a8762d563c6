"""Lists of runs: filters, orders, pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.rules.filters import parse_filter, parse_order
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate

PROJECT = ProjectId("3" * 32)
ANNA = Actor(id="a" * 32, name="anna", kind="user", via="token:1")


@pytest.fixture(scope="module")
def db(either_db: Database) -> Database:
    """Three runs in a project, and one in another."""

    def start(project: ProjectId, **wanted: Any) -> str:
        return either_db.write_blocking(lambda tx: actions.create_run(tx, ANNA, project, RunCreate(**wanted)))

    def log(run_id: str, **metrics: Any) -> None:
        batch = LogBatch(metrics=[MetricPoint(key, value) for key, value in metrics.items()])
        either_db.write_blocking(lambda tx: actions.log(tx, PROJECT, run_id, batch, now()))

    oak = start(
        PROJECT, name="red-oak", started=1_000, experiment="trees", params={"depth": "7", "opt": "adam"}, tags={"team": "Churn"}
    )
    elm_params = {"depth": "10", "opt": "sgd 50%"}
    elm = start(PROJECT, name="old-elm", started=2_000, experiment="trees", params=elm_params, tags={"team": "fraud"})
    fern = start(PROJECT, name="wet-fern", started=3_000, experiment="herbs", params={"depth": "deep"})
    start(ProjectId("4" * 32), name="foreign-oak", started=4_000, params={"depth": "7"})
    log(oak, auc=0.9)
    log(elm, auc=0.7, loss="Infinity")
    log(fern, auc="NaN", auto=3.0)
    return either_db


@pytest.fixture
def names(db: Database) -> Callable[..., list[str]]:
    """Asks for the names of the runs that a filter finds, in an order."""

    def ask(filter: str = "", order: str = "start_time", **options: Any) -> list[str]:
        terms, by = parse_filter(filter), parse_order(order)
        page = db.read_blocking(lambda tx: queries.runs_page(tx, PROJECT, terms=terms, order=by, **options))
        assert page.total >= len(page.runs)
        return [run.name for run in page.runs]

    return ask


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("", ["red-oak", "old-elm", "wet-fern"]),
        ("auc>0.8", ["red-oak"]),
        ("metrics.auc>=0.7", ["red-oak", "old-elm"]),
        ("metrics.auc!=0.9", ["old-elm", "wet-fern"]),
        ("metrics.auc<inf", ["red-oak", "old-elm"]),
        ("loss>1e300", ["old-elm"]),
        ("loss=inf", ["old-elm"]),
        ("params.depth=7", ["red-oak"]),
        ("depth=7.0", ["red-oak"]),
        ("depth>7", ["old-elm"]),
        ("depth<10", ["red-oak"]),
        ("depth=deep", ["wet-fern"]),
        ("params.depth!=7", ["old-elm", "wet-fern"]),
        ("params.opt!=adam", ["old-elm"]),
        ('params.opt~"50%"', ["old-elm"]),
        ("opt~_", []),
        ("params.opt!~ADAM", ["old-elm"]),
        ("tags.team~churn", ["red-oak"]),
        ("team=fraud", ["old-elm"]),
        ("tags.team!=fraud", ["red-oak"]),
        ("oak", ["red-oak"]),
        ("name~E name!~oak", ["old-elm", "wet-fern"]),
        ("name=red-oak", ["red-oak"]),
        ("status=running depth=7", ["red-oak"]),
        ("status!=running", []),
        ("experiment=herbs", ["wet-fern"]),
        ("experiment~tree auc<0.8", ["old-elm"]),
        ("user=anna start_time>=2000", ["old-elm", "wet-fern"]),
        ("nothing>0", []),
    ],
)
def test_a_filter_finds(names: Callable[..., list[str]], filter: str, found: list[str]) -> None:
    assert names(filter) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("", ["wet-fern", "old-elm", "red-oak"]),
        ("start_time", ["red-oak", "old-elm", "wet-fern"]),
        ("auc", ["old-elm", "red-oak", "wet-fern"]),
        ("metrics.auc desc", ["red-oak", "old-elm", "wet-fern"]),
        ("metrics.loss desc", ["old-elm", "wet-fern", "red-oak"]),
        ("params.depth desc", ["old-elm", "red-oak", "wet-fern"]),
        ("params.depth", ["red-oak", "old-elm", "wet-fern"]),
        ("tags.team", ["red-oak", "old-elm", "wet-fern"]),
        ("name", ["old-elm", "red-oak", "wet-fern"]),
        ("experiment desc", ["old-elm", "red-oak", "wet-fern"]),
    ],
)
def test_an_order_puts_missing_values_and_nan_last(names: Callable[..., list[str]], order: str, found: list[str]) -> None:
    assert names(order=order) == found


def test_pages_follow_each_other(names: Callable[..., list[str]]) -> None:
    assert names(limit=2) + names(limit=2, offset=2) == names()


def test_the_total_is_that_of_the_filter(db: Database) -> None:
    page = db.read_blocking(lambda tx: queries.runs_page(tx, PROJECT, terms=parse_filter("auc>=0.7"), limit=1))
    assert (len(page.runs), page.total, page.capped, page.total_text) == (1, 2, False, "2")


def test_columns_of_many_runs_come_at_once(db: Database) -> None:
    page = db.read_blocking(lambda tx: queries.runs_page(tx, PROJECT, order=parse_order("start_time")))
    ids = [run.id for run in page.runs]
    params = db.read_blocking(lambda tx: queries.params_of(tx, PROJECT, ids))
    assert [params[run_id]["depth"] for run_id in ids] == ["7", "10", "deep"]
    assert db.read_blocking(lambda tx: queries.tags_of(tx, PROJECT, ids))[ids[0]] == {"team": "Churn"}
    assert db.read_blocking(lambda tx: queries.latest_metrics(tx, PROJECT, ids, ["auc"]))[ids[0]] == {"auc": 0.9}
    assert db.read_blocking(lambda tx: queries.metric_keys(tx, PROJECT, ids)) == ["auc", "auto", "loss"]
    assert db.read_blocking(lambda tx: queries.known_keys(tx, PROJECT, "param")) == ["depth", "opt"]


def test_running_runs_are_listed(db: Database) -> None:
    assert len(db.read_blocking(lambda tx: queries.running_runs(tx, PROJECT))) == 3
