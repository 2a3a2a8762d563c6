"""MLflow's filters and orders over models, versions and logged models, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId, new_id
from tilth.domains.models import actions
from tilth.domains.models.queries.listing import find_models, find_versions, model_row
from tilth.domains.models.queries.logged_search import find_logged_models
from tilth.domains.models.rules.mlflow_filters import (
    logged_models_filter,
    logged_models_order,
    registered_models_filter,
    registered_models_order,
    versions_filter,
    versions_order,
)
from tilth.domains.tracking import actions as tracking
from tilth.domains.tracking.queries.experiment_numbers import ids_of_numbers, numbers_of
from tilth.domains.tracking.queries.model_metrics import DatasetScope
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate

ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(new_id())


def test_models_are_found_by_name_and_tag_with_their_newest_versions(either_db: Database, project: ProjectId) -> None:
    def make(tx: Tx) -> None:
        for name, team in (("alpha", "x"), ("Beta", "x"), ("gamma", "y")):
            actions.create_model(tx, ANNA, project, name, tags={"team": team})
        for stage in ("None", "Production", "Production"):
            made = actions.add_version(tx, ANNA, project, "alpha", actions.Origin("s3://b/m"))
            actions.move_to_stage(tx, ANNA, project, "alpha", made.version, stage)
        actions.set_alias(tx, ANNA, project, "alpha", "champion", 2)

    either_db.write_blocking(make)

    def found(text: str, *order: str) -> list[str]:
        asked = registered_models_filter(text)
        rows = either_db.read_blocking(lambda tx: find_models(tx, project, asked, registered_models_order(order), limit=10))
        return [row.name for row in rows]

    assert found("") == ["Beta", "alpha", "gamma"]
    assert found("tags.team = 'x'", "name DESC") == ["alpha", "Beta"]
    assert found("name LIKE '%eta'") == ["Beta"]
    assert found("name LIKE 'b%'") == []
    assert found("name ILIKE 'b%'") == ["Beta"]
    assert found("name LIKE 'b%\\'") == found("name ILIKE 'é%\\'") == []
    assert found("name NOT IN ('alpha', 'Beta')") == ["gamma"]
    model = either_db.read_blocking(lambda tx: model_row(tx, project, "alpha"))
    assert [(row.version, row.stage, row.aliases) for row in model.latest] == [(1, "None", []), (3, "Production", [])]
    assert model.aliases == {"champion": 2}


def test_versions_are_found_across_models(either_db: Database, project: ProjectId) -> None:
    def make(tx: Tx) -> None:
        for name in ("a", "b"):
            actions.create_model(tx, ANNA, project, name)
            for number in (1, 2):
                origin = actions.Origin(f"s3://{name}/{number}", run_id=f"r{number}")
                actions.add_version(tx, ANNA, project, name, origin, tags={"n": str(number)})
        actions.delete_version(tx, ANNA, project, "b", 2)

    either_db.write_blocking(make)

    def found(text: str, *order: str) -> list[str]:
        asked = versions_filter(text)
        rows = either_db.read_blocking(lambda tx: find_versions(tx, project, asked, versions_order(order), limit=10))
        return [f"{row.model}{row.version}" for row in rows]

    assert found("", "name ASC") == ["a2", "a1", "b1"]
    assert found("run_id = 'r1'", "name DESC") == ["b1", "a1"]
    assert found("version_number >= 2 AND tags.n = '2'") == ["a2"]
    assert found("source_path LIKE 's3://b%'") == ["b1"]
    assert found("name IN ('a') AND run_id NOT IN ('r2')") == ["a1"]


def test_logged_models_are_found_by_the_metrics_that_runs_logged_about_them(either_db: Database, project: ProjectId) -> None:
    def make(tx: Tx) -> dict[str, str]:
        experiment = tracking.create_default_experiment(tx, project)
        run_id = tracking.create_run(tx, ANNA, project, RunCreate())
        made = {}
        for name, score in (("low", 0.1), ("high", 0.9), ("nan", float("nan")), ("none", None)):
            model = actions.create_logged_model(tx, ANNA, project, name=name, experiment_id=experiment, tags={"k": name})
            made[name] = model.id
            if score is not None:
                points = [MetricPoint("auc", value, step=step, ts=step, model_id=model.id, dataset_name="d", dataset_digest="1")
                          for step, value in ((1, 0.5), (2, score))]  # fmt: skip
                tracking.log(tx, project, run_id, LogBatch(metrics=points), 1)
        return made

    either_db.write_blocking(make)

    def found(text: str = "", order: tuple[Any, ...] = (), datasets: tuple[DatasetScope, ...] = ()) -> list[str]:
        def read(tx: Tx) -> list[str]:
            experiments = list(ids_of_numbers(tx, project, [0]).values())
            assert numbers_of(tx, project, experiments) == {experiments[0]: 0}
            rows = find_logged_models(tx, project, experiments, logged_models_filter(text), datasets, order, limit=10)
            return [row.model.name for row in rows]

        return either_db.read_blocking(read)

    assert sorted(found("metrics.auc >= 0.5")) == ["high", "low", "nan"]
    assert found("metrics.auc > 0.5") == ["high"]
    assert found("metrics.auc > 0.5", datasets=(DatasetScope("d", "2"),)) == []
    assert sorted(found("tags.k LIKE 'n%' AND status = 'PENDING'")) == ["nan", "none"]
    assert found(order=(logged_models_order("metrics.auc", ascending=False),))[:2] == ["high", "low"]
    assert sorted(found(datasets=(DatasetScope("d"),))) == ["high", "low", "nan"]


def test_another_project_finds_nothing(either_db: Database, project: ProjectId) -> None:
    either_db.write_blocking(lambda tx: actions.create_model(tx, ANNA, project, "hidden"))
    other = ProjectId(new_id())
    assert either_db.read_blocking(lambda tx: find_models(tx, other, registered_models_filter(""), (), limit=10)) == []
