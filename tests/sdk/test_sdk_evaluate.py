"""Models evaluated from a program, and what the server makes of it."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

import tilth
from tilth.core.errors import Conflict
from tilth.sdk.evaluating import UnknownMetrics, UnusableSlices
from tilth.sdk.measuring import UnusableTarget

API = "/api/v1/p/default"


def flights(seed: int, rows: int = 600) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"hour": draw.uniform(0, 24, rows), "wind": draw.normal(10, 5, rows)})
    frame["origin"] = draw.choice(["EWR", "JFK", "LGA"], rows, p=[0.5, 0.49, 0.01])
    frame["late"] = (frame["hour"] + frame["wind"] / 4 + draw.normal(0, 5, rows) > 16).astype(int)
    return frame


@pytest.fixture(scope="module")
def held_out() -> pd.DataFrame:
    return flights(2)


def log(name: str, columns: list[str]) -> Any:
    training = flights(1)
    model = LogisticRegression().fit(training[columns], training["late"])
    return tilth.log_model(model, name, example=training[columns].head())


@pytest.fixture
def client(live: Any) -> Any:
    with httpx.Client(base_url=live.url, headers={"authorization": f"Bearer {live.token}"}, timeout=30) as found:
        yield found


def test_a_version_is_measured_with_intervals_slices_and_latency(live: Any, held_out: pd.DataFrame, client: Any) -> None:
    logged = log("measured", ["hour", "wind"])
    with tilth.run() as run:
        found = tilth.evaluate("measured", held_out, "late", slices=["origin"], dataset="week 2")
    expected = roc_auc_score(held_out["late"], tilth.load_model("measured/1").predict(held_out))
    record = found.record
    assert found.metrics["auc"] == pytest.approx(expected)
    assert record.metrics["auc"].low < expected < record.metrics["auc"].high
    assert (record.model, record.version, record.rows, record.run_id) == ("measured", 1, 600, run.id)
    assert {each.value for each in record.slices} == {"EWR", "JFK"}
    assert [text.partition(":")[0] for text in record.left_out] == ["origin=LGA"]
    assert 0 < record.latency_p50_ms <= record.latency_p99_ms
    assert "measured/1 on week 2, 600 rows" in str(found)
    kept = client.get(f"{API}/evaluations/{found.id}/scores")
    assert np.frombuffer(kept.content, "<f8").reshape(600, 3)[:, 0].tolist() == held_out["late"].tolist()
    listed = client.get(f"{API}/logged-models/{logged.id}/evaluations").json()
    assert [each["id"] for each in listed["evaluations"]] == [found.id]


def test_a_better_version_is_told_apart_on_the_same_rows_and_a_gate_lets_only_it_pass(
    live: Any, held_out: pd.DataFrame, client: Any
) -> None:
    log("raced", ["wind"])
    tilth.set_alias("raced", "champion", 1)
    for gate in ("auc beats @champion by 0.05", "auc >= 0.6"):
        assert client.post(f"{API}/models/raced/gates", json={"expression": gate}).status_code == 201
    weak = tilth.evaluate("raced@champion", held_out, "late")
    log("raced", ["hour", "wind"])
    with pytest.raises(Conflict, match=r"version 2 has no evaluation yet.*tilth model evaluate raced/2"):
        tilth.set_alias("raced", "champion", 2)
    strong = tilth.evaluate("raced/2", held_out, "late")
    assert strong.record.rows_digest == weak.record.rows_digest
    by = {each.metric: each for each in strong.record.differences}
    assert by["auc"].evaluation_id == weak.id
    assert by["auc"].difference == pytest.approx(strong.metrics["auc"] - weak.metrics["auc"])
    assert by["auc"].low > 0
    assert {gate.outcome for gate in strong.gates} == {"passed"}
    tilth.set_alias("raced", "champion", 2)
    log("raced", ["wind", "hour"])
    other = tilth.evaluate("raced/3", held_out.assign(extra=1), "late")
    assert "not the same" not in str(other)
    assert [gate.outcome for gate in other.gates] == ["unknown", "passed"]
    with pytest.raises(Conflict, match="on the same rows"):
        tilth.set_alias("raced", "champion", 3)


def test_numbers_and_labels_are_measured_too(live: Any, held_out: pd.DataFrame) -> None:
    columns = ["hour", "wind"]
    numbers = LinearRegression().fit(held_out[columns], held_out["late"])
    tilth.log_model(numbers, "numbers", example=held_out[columns].head())
    assert set(tilth.evaluate("numbers", held_out[columns], held_out["late"]).metrics) == {"rmse", "mae", "r2", "mape"}
    named = held_out["late"].map({0: "in time", 1: "late"})
    for method in ("predict", "predict_proba"):
        tilth.log_model(
            LogisticRegression().fit(held_out[columns], named), "named", example=held_out[columns].head(), method=method
        )
    labels, probabilities = (tilth.evaluate(f"named/{version}", held_out[columns], named).metrics for version in (1, 2))
    assert set(labels) == {"accuracy", "f1", "precision", "recall"}
    assert labels["accuracy"] == pytest.approx(probabilities["accuracy"])
    plain = LogisticRegression().fit(held_out[columns], held_out["late"])
    tilth.log_model(plain, "plain", example=held_out[columns].head(), method="predict")
    assert tilth.evaluate("plain", held_out[columns], held_out["late"]).metrics == pytest.approx(labels)


def test_what_cannot_be_measured_is_refused_in_words(live: Any, held_out: pd.DataFrame) -> None:
    log("refused", ["hour", "wind"])
    with pytest.raises(UnusableTarget, match="no column 'delay'"):
        tilth.evaluate("refused", held_out, "delay")
    with pytest.raises(UnusableTarget, match="one value per row"):
        tilth.evaluate("refused", held_out, held_out["late"].head())
    with pytest.raises(UnusableTarget, match="1 rows have no target"):
        tilth.evaluate("refused", held_out, held_out["late"].where(held_out.index > 0))
    with pytest.raises(UnusableTarget, match="is no class of the model; it knows: 0, 1"):
        tilth.evaluate("refused", held_out, held_out["late"] + 1)
    with pytest.raises(UnusableTarget, match="holds inf, which is no class"):
        tilth.evaluate("refused", held_out, held_out["late"].where(held_out.index > 0, math.inf))
    with pytest.raises(UnusableSlices, match="600 values"):
        tilth.evaluate("refused", held_out, "late", slices=["hour"])
    with pytest.raises(UnknownMetrics, match="no metric 'rmse'"):
        tilth.evaluate("refused", held_out, "late", metrics=["rmse"])
