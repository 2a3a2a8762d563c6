"""The unmodified client logs, registers and loads real models."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.8, 0.1]])
LABELS = np.array([0, 1, 0, 1])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """MLflow warns of its own dependencies while it infers requirements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def fitted() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, LABELS)


def log(mlflow: Any, model: Any, name: str, **options: Any) -> Any:
    import mlflow.sklearn

    return mlflow.sklearn.log_model(model, name=name, pip_requirements=["scikit-learn"], **options)


def empty_model(ml: Any, name: str = "external", **options: Any) -> Any:
    return ml.create_logged_model(experiment_id="0", name=name, **options)


@pytest.mark.parametrize("serialization", ["skops", "pickle"])
def test_a_logged_model_is_loaded_by_its_alias(mlflow: Any, ml: Any, fitted: Any, serialization: str) -> None:
    name = f"iris-{serialization}"
    with mlflow.start_run():
        info = log(mlflow, fitted, "model", registered_model_name=name, serialization_format=serialization)
    assert info.registered_model_version == "1"
    ml.set_registered_model_alias(name, "champion", "1")
    loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert loaded.predict(ROWS).tolist() == LABELS.tolist()
    assert ml.get_model_version(name, "1").source == f"models:/{info.model_id}"
    assert ml.get_logged_model(info.model_id).tags["mlflow.modelVersions"] == f'[{{"name": "{name}", "version": 1}}]'


def test_a_model_is_loaded_by_its_run_and_by_its_id(mlflow: Any, fitted: Any) -> None:
    with mlflow.start_run() as run:
        info = log(mlflow, fitted, "clf")
    for address in (f"runs:/{run.info.run_id}/clf", f"models:/{info.model_id}"):
        assert mlflow.sklearn.load_model(address).predict(ROWS).tolist() == LABELS.tolist()


def test_autologging_leaves_a_ready_model_with_its_metrics(mlflow: Any, ml: Any) -> None:
    mlflow.sklearn.autolog()
    try:
        with mlflow.start_run() as run:
            LogisticRegression().fit(ROWS, LABELS)
    finally:
        mlflow.sklearn.autolog(disable=True)
    (model,) = ml.search_logged_models(["0"], filter_string=f"source_run_id = '{run.info.run_id}'")
    assert str(model.status) == "READY"
    assert {metric.key for metric in model.metrics} >= {"training_accuracy_score"}


def test_the_signature_of_a_ready_model_may_change_until_it_is_registered(mlflow: Any, ml: Any, fitted: Any) -> None:
    with mlflow.start_run():
        info = log(mlflow, fitted, "model")
    signature = mlflow.models.infer_signature(ROWS, LABELS)
    mlflow.models.set_signature(f"models:/{info.model_id}", signature)
    mlflow.register_model(f"models:/{info.model_id}", "signed")
    assert mlflow.models.get_model_info("models:/signed/1").signature == signature
    with pytest.raises(Exception, match="registered and its files are sealed"):
        mlflow.models.set_signature(f"models:/{info.model_id}", signature)


def test_words_about_a_logged_model_are_kept(ml: Any) -> None:
    model = empty_model(ml, params={"a": "1"}, tags={"team": "x"}, model_type="agent")
    ml.set_logged_model_tags(model.model_id, {"a/b c": "1", "why?not": "2"})
    ml.log_model_params(model.model_id, {"depth": "3"})
    ml.delete_logged_model_tag(model.model_id, "a/b c")
    kept = ml.get_logged_model(model.model_id)
    assert (kept.params, kept.tags, kept.model_type) == ({"a": "1", "depth": "3"}, {"team": "x", "why?not": "2"}, "agent")
    ml.delete_logged_model_tag(model.model_id, "why?not")
    with pytest.raises(Exception, match="No tag with key 'why\\?not' found for model with ID"):
        ml.delete_logged_model_tag(model.model_id, "why?not")


def test_a_model_without_files_goes_through_its_states(ml: Any) -> None:
    model = empty_model(ml)
    assert str(model.status) == "PENDING"
    for status in ("FAILED", "READY"):
        assert str(ml.finalize_logged_model(model.model_id, status).status) == status


def test_a_deleted_model_is_not_found_by_name_nor_search(ml: Any) -> None:
    model = empty_model(ml, "gone")
    ml.delete_logged_model(model.model_id)
    with pytest.raises(Exception, match=f"Logged model with ID '{model.model_id}' not found."):
        ml.get_logged_model(model.model_id)
    assert ml.search_logged_models(["0"], filter_string="name = 'gone'") == []


def test_logged_models_are_searched_by_params_tags_metrics_and_data(mlflow: Any, ml: Any) -> None:
    experiment = ml.create_experiment("searched")
    made = {}
    for name, score in (("low", 0.1), ("high", 0.9), ("none", None)):
        model = ml.create_logged_model(experiment_id=experiment, name=name, params={"kind": name}, tags={"t": name})
        made[name] = model.model_id
        if score is not None:
            run = ml.create_run(experiment)
            ml.log_metric(run.info.run_id, "auc", score, model_id=model.model_id, dataset_name="test", dataset_digest="d1")

    def found(filter_string: str = "", **options: Any) -> list[str]:
        return [each.name for each in ml.search_logged_models([experiment], filter_string=filter_string or None, **options)]

    assert found() == ["none", "high", "low"]
    assert found("metrics.auc > 0.5") == ["high"]
    assert found("metrics.auc > 0.5", datasets=[{"dataset_name": "other"}]) == []
    assert sorted(found(datasets=[{"dataset_name": "test", "dataset_digest": "d1"}])) == ["high", "low"]
    assert found("params.kind = 'low' AND tags.t LIKE 'l%'") == ["low"]
    assert found(f"model_id = '{made['none']}'") == ["none"]
    assert found("attributes.name IN ('low', 'high')", order_by=[{"field_name": "name"}]) == ["high", "low"]
    assert found(order_by=[{"field_name": "metrics.auc", "ascending": False}]) == ["high", "low", "none"]
    assert found(order_by=[{"field_name": "metrics.auc", "ascending": True, "dataset_name": "test"}])[:2] == ["low", "high"]
    first = ml.search_logged_models([experiment], max_results=2)
    rest = ml.search_logged_models([experiment], max_results=2, page_token=first.token)
    assert [m.name for m in [*first, *rest]] == ["none", "high", "low"]
    assert rest.token is None
    for wrong, why in (
        ("bogus.a = 1", "Invalid entity type"),
        ("name > 'a'", "Invalid comparison operator"),
        ("a", "Invalid clause"),
    ):
        with pytest.raises(Exception, match=why):
            found(wrong)
