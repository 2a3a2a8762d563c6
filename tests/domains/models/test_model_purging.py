"""Models, versions and logged models deleted for good, and the runs that versions keep, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tilth.backends.sql import Database, Tx, blob_use, metadata
from tilth.core.actors import Actor
from tilth.core.clock import DAY, Millis, now
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import ProjectId, new_id
from tilth.domains.models import actions, queries
from tilth.domains.models.actions import purging
from tilth.domains.models.queries.purging import runs_behind_versions
from tilth.domains.tracking import actions as tracking
from tilth.wire.evaluations import AddGate, MetricValue, Policy, RecordEvaluation
from tilth.wire.tracking import RunCreate

ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")
T = TypeVar("T")
Do = Callable[[Callable[[Tx], T]], T]


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(new_id())


@pytest.fixture
def do(either_db: Database) -> Do[Any]:
    return either_db.write_blocking


def log_model(tx: Tx, project: ProjectId, text: bytes, run_id: str | None = None) -> str:
    model = actions.create_logged_model(tx, ANNA, project, name="m", params={"depth": "7"}, tags={"a": "b"}, source_run_id=run_id)
    entry = FileEntry("MLmodel", content_address(text), len(text))
    actions.add_file(tx, project, model.id, entry)
    return actions.seal(tx, ANNA, project, model.id, Manifest.of([entry]), None, "").id


def measured(scores: bytes) -> RecordEvaluation:
    digest = content_address(b"data")
    return RecordEvaluation(
        "rain", digest, digest, 10, "regression", {"mae": MetricValue(0.5)}, scores_digest=content_address(scores)
    )


def furnish(tx: Tx, project: ProjectId, name: str, seed: bytes) -> str:
    """A version with everything that can hang on one. Returns its logged model."""
    logged = log_model(tx, project, b"model" + seed)
    version = actions.register_version(tx, ANNA, project, name, logged, tags={"a": "b"}, again=True).version
    actions.change_model(tx, ANNA, project, name, tags={"team": "x"})
    actions.fill_card(tx, ANNA, project, name, version, {"intended_use": "rain"})
    actions.set_alias(tx, ANNA, project, name, "champion", version)
    actions.add_gate(tx, ANNA, project, name, AddGate(f"mae <= 0.{5 + version}"))
    actions.request_approval(tx, ANNA, project, name, version, "please")
    actions.set_policy(tx, ANNA, project, name, Policy(free_aliases=["champion"], approval_for=[], separate_duties=False))
    made = actions.evaluate_version(tx, ANNA, project, name, version, measured(b"scores" + seed)).evaluation
    actions.keep_scores(tx, project, made.id, content_address(b"scores" + seed), 6)
    return logged


def rows_of(tx: Tx, project: ProjectId) -> dict[str, int]:
    """Rows that the project has in the tables of the registry; only tables that have any."""
    names = ("model_", "registered_", "logged_", "card_", "version_", "evaluation", "gate", "approval")
    found = {
        table.name: len(tx.all(table.select().where(table.c.project_id == project)))
        for table in metadata.sorted_tables
        if table.name.startswith(names) and "project_id" in table.c
    }
    return {name: count for name, count in found.items() if count}


def claimed(tx: Tx, *contents: bytes) -> list[bool]:
    found = blob_use.claimed(tx, [content_address(each) for each in contents])
    return [content_address(each) in found for each in contents]


def soon() -> Millis:
    return Millis(now() + DAY)


def test_a_purged_model_leaves_no_row_and_then_its_logged_model_neither(do: Do[Any], project: ProjectId) -> None:
    seed = new_id().encode()
    logged = do(lambda tx: furnish(tx, project, "churn", seed))
    kept = do(lambda tx: rows_of(tx, project))
    assert {"gate_check", "approval", "model_policy", "evaluation", "card_field", "model_alias_move"} <= set(kept)
    do(lambda tx: actions.delete_model(tx, ANNA, project, "churn", may_loosen=True))
    assert do(lambda tx: purging.purge_logged_models(tx, ANNA, project, soon())) == 0
    assert do(lambda tx: purging.purge_models(tx, ANNA, project, soon())) == 1
    assert {name for name in do(lambda tx: rows_of(tx, project)) if not name.startswith("logged_model")} == set()
    assert do(lambda tx: claimed(tx, b"model" + seed, b"scores" + seed)) == [True, False]
    do(lambda tx: actions.delete_logged_model(tx, ANNA, project, logged))
    assert do(lambda tx: purging.purge_logged_models(tx, ANNA, project, soon())) == 1
    assert do(lambda tx: rows_of(tx, project)) == {}
    assert do(lambda tx: claimed(tx, b"model" + seed)) == [False]


def test_a_purged_version_takes_its_own_and_leaves_the_others(do: Do[Any], project: ProjectId) -> None:
    one, two = new_id().encode(), new_id().encode()
    do(lambda tx: furnish(tx, project, "churn", one))
    do(lambda tx: furnish(tx, project, "churn", two))  # The alias moves on, so the first version is free to go.
    do(lambda tx: actions.delete_version(tx, ANNA, project, "churn", 1))
    assert do(lambda tx: purging.purge_versions(tx, ANNA, project, soon())) == 1
    kept = do(lambda tx: rows_of(tx, project))
    assert (kept["model_version"], kept["evaluation"], kept["approval"], kept["card_field"]) == (1, 1, 1, 1)
    assert kept["model_alias_move"] == 2
    assert do(lambda tx: claimed(tx, b"scores" + one, b"scores" + two)) == [False, True]


def test_scores_that_were_announced_and_never_sent_are_nobodys_to_let_go(do: Do[Any], project: ProjectId) -> None:
    """Whoever announces the digest of another's file does not get it deleted by deleting his model."""
    secret = new_id().encode()
    do(lambda tx: blob_use.claim(tx, project, content_address(secret), 3))

    def make(tx: Tx) -> None:
        actions.register_version(tx, ANNA, project, "churn", log_model(tx, project, b"x" + secret))
        actions.evaluate_version(tx, ANNA, project, "churn", 1, measured(secret))
        actions.delete_model(tx, ANNA, project, "churn", may_loosen=True)

    do(make)
    assert do(lambda tx: purging.purge_models(tx, ANNA, project, soon())) == 1
    assert do(lambda tx: claimed(tx, secret)) == [True]


def test_nothing_goes_before_its_time_nor_from_another_project(do: Do[Any], project: ProjectId) -> None:
    do(lambda tx: furnish(tx, project, "churn", new_id().encode()))
    do(lambda tx: actions.delete_model(tx, ANNA, project, "churn", may_loosen=True))
    before = do(lambda tx: rows_of(tx, project))
    assert do(lambda tx: purging.purge_models(tx, ANNA, project, Millis(now() - DAY))) == 0
    assert do(lambda tx: purging.purge_models(tx, ANNA, ProjectId(new_id()), soon())) == 0
    assert do(lambda tx: rows_of(tx, project)) == before


def test_a_model_that_somebody_serves_stays_in_the_trash(do: Do[Any], project: ProjectId) -> None:
    do(lambda tx: furnish(tx, project, "churn", new_id().encode()))
    holder = new_id()

    def hold(tx: Tx) -> None:
        resolved = queries.resolve(tx, project, "churn", version=1)
        actions.delete_model(tx, ANNA, project, "churn", may_loosen=True)
        actions.hold_versions(tx, project, resolved.model_id, {1: None}, holder=holder, label="deployment 'd'")

    do(hold)
    assert do(lambda tx: purging.purge_models(tx, ANNA, project, soon())) == 0
    do(lambda tx: actions.release_versions(tx, project, holder))
    assert do(lambda tx: purging.purge_models(tx, ANNA, project, soon())) == 1


def test_runs_behind_living_versions_are_told_from_others(do: Do[Any], project: ProjectId) -> None:
    named, logged, binned, unborn, gone = [
        do(lambda tx: tracking.create_run(tx, ANNA, project, RunCreate(experiment="e"))) for _ in range(5)
    ]
    runs = [named, logged, binned, unborn, gone]

    def make(tx: Tx) -> None:
        actions.register_version(tx, ANNA, project, "churn", log_model(tx, project, b"1", logged))
        actions.add_version(tx, ANNA, project, "churn", actions.Origin("s3://b/m", run_id=named))
        actions.add_version(tx, ANNA, project, "churn", actions.Origin("s3://b/m", run_id=binned))
        actions.delete_version(tx, ANNA, project, "churn", 3)
        log_model(tx, project, b"2", unborn)
        actions.create_model(tx, ANNA, project, "old")
        actions.add_version(tx, ANNA, project, "old", actions.Origin("s3://b/m", run_id=gone))
        actions.delete_model(tx, ANNA, project, "old", may_loosen=True)

    do(make)
    assert do(lambda tx: runs_behind_versions(tx, project, runs)) == {named, logged}
    assert do(lambda tx: runs_behind_versions(tx, project, [binned])) == set()
    assert do(lambda tx: runs_behind_versions(tx, ProjectId(new_id()), runs)) == set()
    assert do(lambda tx: runs_behind_versions(tx, project, [])) == set()
