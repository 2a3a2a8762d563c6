"""Autologging of frameworks by the unmodified client: small real fits, looked at through our own API."""

from __future__ import annotations

import pytest

RUNS = "/api/v1/p/default/runs"


@pytest.fixture(scope="module")
def cases():
    from sklearn.datasets import make_classification

    return make_classification(n_samples=120, n_features=5, random_state=3)


@pytest.fixture
def logged(shared_installation):
    """The whole run, as our own API shows it."""

    def one(run_id: str):
        answer = shared_installation.client.get(f"{RUNS}/{run_id}")
        assert answer.status_code == 200
        return answer.json()

    return one


def metric_names(run) -> set[str]:
    return {metric["key"] for metric in run["metrics"]}


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_logs_params_metrics_and_the_data(mlflow, cases, logged):
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog(log_models=False)
    try:
        with mlflow.start_run() as active:
            LogisticRegression(C=0.5).fit(*cases)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = logged(active.info.run_id)
    assert run["run"]["status"] == "finished"
    assert run["params"]["C"] == "0.5"
    assert {"training_accuracy_score", "training_roc_auc", "training_log_loss"} <= metric_names(run)
    assert run["tags"]["estimator_name"] == "LogisticRegression"
    assert [data["context"] for data in run["inputs"]] == ["train"]


@pytest.mark.filterwarnings("ignore")
def test_a_search_of_scikit_learn_logs_its_tries_as_children(mlflow, cases, logged):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    mlflow.sklearn.autolog(log_models=False, log_post_training_metrics=False)
    try:
        with mlflow.start_run() as active:
            GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(*cases)
    finally:
        mlflow.sklearn.autolog(disable=True)
    assert len(logged(active.info.run_id)["children"]) == 2


@pytest.mark.filterwarnings("ignore")
def test_lightgbm_logs_its_curve_and_importances(mlflow, cases, logged, ml):
    import lightgbm

    mlflow.lightgbm.autolog(log_models=False)
    try:
        with mlflow.start_run() as active:
            data = lightgbm.Dataset(cases[0], cases[1])
            options = {"objective": "binary", "metric": "binary_logloss", "verbose": -1, "num_threads": 1}
            lightgbm.train(options, data, num_boost_round=5, valid_sets=[data], valid_names=["train"])
    finally:
        mlflow.lightgbm.autolog(disable=True)
    run = logged(active.info.run_id)
    assert run["params"]["objective"] == "binary"
    curve = ml.get_metric_history(active.info.run_id, "train-binary_logloss")
    assert [point.step for point in curve] == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore")
def test_xgboost_logs_its_curve(mlflow, cases, logged, ml):
    import xgboost

    mlflow.xgboost.autolog(log_models=False)
    try:
        with mlflow.start_run() as active:
            data = xgboost.DMatrix(*cases)
            options = {"objective": "binary:logistic", "nthread": 1, "eval_metric": "logloss"}
            xgboost.train(options, data, num_boost_round=4, evals=[(data, "train")], verbose_eval=False)
    finally:
        mlflow.xgboost.autolog(disable=True)
    assert logged(active.info.run_id)["params"]["objective"] == "binary:logistic"
    assert len(ml.get_metric_history(active.info.run_id, "train-logloss")) == 4
