"""Models of many frameworks behind one worker: the answers over HTTP are those of the program that trained them, with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tilth.core.hashing import Manifest
from tilth.flavours import save_model
from tilth.wire.plane import ModelFile, PlaneDeployment, PlaneRoute, PlaneVersion

from .conftest import Client, PlaneHome, SavedModel, Worker, wait_until

ROWS = 200


def priced(rooms: int, town: str) -> float:
    return rooms * 2.0 + len(town)


class Served(NamedTuple):
    worker: Worker
    frame: pd.DataFrame
    expected: dict[str, Any]

    def ask(self, name: str, body: Any, verb: str = "invocations") -> Any:
        client = self.worker.client()
        try:
            return client.send("POST", f"/p/demo/deployments/{name}/{verb}", body)
        finally:
            client.close()


def split(frame: pd.DataFrame) -> dict[str, Any]:
    columns = [[None if value != value else value for value in frame[name].astype(object)] for name in frame]
    return {"dataframe_split": {"columns": list(frame.columns), "data": [list(row) for row in zip(*columns, strict=True)]}}


def trained(frame: pd.DataFrame, late: np.ndarray) -> dict[str, tuple[Any, Any, Callable[[pd.DataFrame], Any]]]:
    """By deployment: the model, its example and what it answers in this program."""
    numbers = frame[["wind", "hour"]]
    few = {"n_estimators": 8, "n_jobs": 1}
    xgb = xgboost.XGBClassifier(enable_categorical=True, **few).fit(frame, late)
    lgb = lightgbm.LGBMClassifier(verbose=-1, **few).fit(frame, late)
    cat = catboost.CatBoostClassifier(
        iterations=8, verbose=0, thread_count=1, allow_writing_files=False, cat_features=["carrier"]
    ).fit(frame, late)
    hist = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=8).fit(frame, late)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, late)
    formula = statsmodels.formula.api.ols("late ~ wind + C(carrier)", frame.assign(late=late)).fit()
    near = KNeighborsClassifier(3).fit(numbers, late)
    return {
        "xgb": (xgb, frame, lambda rows: xgb.predict_proba(rows)[:, 1]),
        "lgb": (lgb, frame, lambda rows: lgb.predict_proba(rows)[:, 1]),
        "cat": (cat, frame, lambda rows: cat.predict_proba(rows)[:, 1]),
        "hist": (hist, frame, lambda rows: hist.predict_proba(rows)[:, 1]),
        "linear": (linear, numbers, lambda rows: linear.predict_proba(rows[["wind", "hour"]])[:, 1]),
        "formula": (formula, frame[["wind", "carrier"]], lambda rows: formula.predict(rows).to_numpy()),
        "near": (near, numbers, lambda rows: near.predict_proba(rows[["wind", "hour"]])[:, 1]),
        "priced": (priced, pd.DataFrame({"rooms": [1], "town": ["Bern"]}), lambda rows: None),
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "wind": rng.normal(10, 4, ROWS),
            "carrier": pd.Categorical.from_codes(rng.integers(0, 3, ROWS), ["UA", "AA", "WN"]),
            "hour": rng.integers(0, 24, ROWS),
        }
    )
    late = ((frame.carrier == "WN") * 2 + (frame.hour > 15) + rng.normal(0, 0.5, ROWS) > 1.2).to_numpy().astype(int)
    home = PlaneHome(tmp_path_factory.mktemp("frameworks") / "home")
    deployments, expected = [], {}
    for number, (name, (model, example, answer)) in enumerate(trained(frame, late).items(), 1):
        folder: Path = tmp_path_factory.mktemp(name) / "model"
        save_model(model, folder, example=example.head(60))
        saved = SavedModel(folder, Manifest.of_folder(folder), 0.0)
        home.cache(saved)
        files = tuple(ModelFile(entry.path, entry.digest, entry.size) for entry in saved.manifest.files)
        version = PlaneVersion(name, 1, f"m-{number:032d}", saved.manifest.digest, files)
        deployments.append(PlaneDeployment(f"d{number}", "p1", "demo", name, 1, (version,), (PlaneRoute(version.key, 10_000),)))
        expected[name] = answer(frame)
    home.publish(*deployments)
    try:
        worker = home.start()

        def live() -> bool:
            status = worker.status()
            return status is not None and [d.acknowledged for d in status.deployments] == [1] * len(deployments)

        wait_until(live, "all deployments")
        yield Served(worker, frame, expected)
    finally:
        home.end()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    made = served.worker.client()
    yield made
    made.close()


@pytest.mark.parametrize("name", ["xgb", "lgb", "cat", "hist", "linear", "formula", "near"])
def test_answers_over_http_are_those_of_the_program(served: Served, name: str) -> None:
    columns = {"linear": ["wind", "hour"], "near": ["wind", "hour"], "formula": ["wind", "carrier"]}.get(name, list(served.frame))
    reply = served.ask(name, split(served.frame[columns].head(20)))
    assert reply.status == 200, reply.body
    assert reply.json()["predictions"] == pytest.approx(served.expected[name][:20], abs=1e-6)


def test_a_function_of_text_answers_over_http(served: Served) -> None:
    reply = served.ask("priced", {"dataframe_records": [{"rooms": 3, "town": "Bern"}, {"rooms": 1, "town": "Zug"}]})
    assert reply.json()["predictions"] == [10.0, 5.0]
    refused = served.ask("priced", {"dataframe_records": [{"rooms": "three", "town": "Bern"}]})
    assert refused.status == 400
    assert "column 'rooms', row 0: expected a whole number" in refused.json()["message"]


@pytest.mark.parametrize("name", ["xgb", "lgb", "cat", "hist", "linear"])
def test_reasons_over_http_add_up_to_the_answer(served: Served, name: str) -> None:
    columns = ["wind", "hour"] if name == "linear" else list(served.frame)
    reply = served.ask(name, split(served.frame[columns].head(5)), "explain")
    assert reply.status == 200, reply.body
    answer = reply.json()
    assert (answer["link"], answer["model"], answer["version"]) == ("logistic", name, "1")
    for number, told in enumerate(answer["explanations"]):
        assert list(told["contributions"]) == columns
        margin = told["base"] + sum(told["contributions"].values())
        assert margin == pytest.approx(told["margin"])
        assert 1 / (1 + np.exp(-margin)) == pytest.approx(told["prediction"], abs=1e-5)
        assert told["prediction"] == pytest.approx(served.expected[name][number], abs=1e-6)
        assert told["output"] == "probability"


def test_the_other_addresses_explain_alike(served: Served, client: Client) -> None:
    rows = {"instances": [{"wind": 3.0, "carrier": "WN", "hour": 20}]}
    by_name = served.ask("hist", rows, "explain").json()
    assert client.send("POST", "/p/demo/deployments/hist/versions/1/explain", rows).json() == by_name
    assert client.send("POST", "/p/demo/v1/models/hist:explain", rows).json() == by_name


def test_what_cannot_be_explained_is_said(served: Served, client: Client) -> None:
    near = served.ask("near", {"instances": [[1.0, 2]]}, "explain")
    assert near.status == 400
    assert "no tree ensemble that treelite answers for" in near.json()["message"]
    many = served.ask("linear", {"instances": [[1.0, 2]] * 101}, "explain")
    assert "101 rows are too many to be explained at once" in many.json()["message"]
    text = served.ask("priced", {"dataframe_records": [{"rooms": 3, "town": "Bern"}]}, "explain")
    assert "gives no reasons" in text.json()["message"]
    assert client.send("POST", "/p/demo/v1/models/near:explain", {"instances": [[1.0, 2]]}).json().keys() == {"error"}
    assert client.send("POST", "/p/demo/deployments/hist/explain", {"instances": []}).json()["explanations"] == []
    assert client.send("POST", "/p/demo/deployments/hist/explain", b"{").status == 400
    unknown = client.send("POST", "/p/demo/deployments/hist/explain", {"instances": [{"wind": 1.0, "carrier": "XX", "hour": 2}]})
    assert "'XX' was not seen in training" in unknown.json()["message"]
    assert client.send("POST", "/p/demo/deployments/hist/explain", {"instances": []}, Authorization="").status == 401
