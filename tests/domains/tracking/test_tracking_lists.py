"""Lists of runs: filters, orders, pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tilth.backends.sql import Database
from tilth.core.ids import ProjectId
from tilth.domains.tracking import queries
from tilth.domains.tracking.rules.filters import parse_filter, parse_order
from tilth.wire.tracking import LogBatch


@pytest.fixture
def names(db: Database, project: ProjectId, start: Callable[..., str], log: Callable[..., None]) -> Callable[..., list[str]]:
    """Three runs; asks for the names of those that a filter finds, in an order."""
    oak = start(name="red-oak", started=1_000, experiment="trees", params={"depth": "7", "opt": "adam"}, tags={"team": "Churn"})
    elm = start(
        name="old-elm", started=2_000, experiment="trees", params={"depth": "10", "opt": "sgd 50%"}, tags={"team": "fraud"}
    )
    fern = start(name="wet-fern", started=3_000, experiment="herbs", params={"depth": "deep"})
    log(oak, auc=0.9)
    log(elm, auc=0.7, loss="Infinity")
    log(fern, LogBatch(), auc=0.0)
    log(fern, auc="NaN", auto=3.0)

    def ask(filter: str = "", order: str = "start_time", **options: object) -> list[str]:
        page = db.read_blocking(
            lambda tx: queries.runs_page(tx, project, terms=parse_filter(filter), order=parse_order(order), **options)  # type: ignore[arg-type]
        )
        assert page.total >= len(page.runs)
        return [run.name for run in page.runs]

    return ask


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("", ["red-oak", "old-elm", "wet-fern"]),
        ("auc>0.8", ["red-oak"]),
        ("metrics.auc>=0.7", ["red-oak", "old-elm"]),
        ("metrics.auc!=0.9", ["old-elm"]),
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


def test_the_total_is_that_of_the_filter(db: Database, project: ProjectId, names: Callable[..., list[str]]) -> None:
    page = db.read_blocking(lambda tx: queries.runs_page(tx, project, terms=parse_filter("auc>=0.7"), limit=1))
    assert (len(page.runs), page.total, page.capped, page.total_text) == (1, 2, False, "2")


def test_columns_of_many_runs_come_at_once(db: Database, project: ProjectId, names: Callable[..., list[str]]) -> None:
    page = db.read_blocking(lambda tx: queries.runs_page(tx, project, order=parse_order("start_time")))
    ids = [run.id for run in page.runs]
    params = db.read_blocking(lambda tx: queries.params_of(tx, project, ids))
    assert [params[run_id]["depth"] for run_id in ids] == ["7", "10", "deep"]
    assert db.read_blocking(lambda tx: queries.tags_of(tx, project, ids))[ids[0]] == {"team": "Churn"}
    assert db.read_blocking(lambda tx: queries.latest_metrics(tx, project, ids, ["auc"]))[ids[0]] == {"auc": 0.9}
    assert db.read_blocking(lambda tx: queries.metric_keys(tx, project, ids)) == ["auc", "auto", "loss"]
    assert db.read_blocking(lambda tx: queries.known_keys(tx, project, "param")) == ["depth", "opt"]


def test_recent_and_running_runs_are_listed(db: Database, project: ProjectId, names: Callable[..., list[str]]) -> None:
    recent = db.read_blocking(lambda tx: queries.recent_runs(tx, project, 2))
    assert [run.name for run in recent] == ["wet-fern", "old-elm"]
    assert len(db.read_blocking(lambda tx: queries.running_runs(tx, project))) == 3
