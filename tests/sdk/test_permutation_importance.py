"""Permutation importance: inputs that matter stand first, blocks are mixed together, the same seed gives the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression

import tilth
from tilth.flavours import save_model
from tilth.sdk.measuring import UnusableTarget
from tilth.sdk.permuting import UnknownScore, UnusableBlocks, measure
from tilth.wire.models import ModelDocument

RNG = np.random.default_rng(6)
FRAME = pd.DataFrame(
    {
        "strong": RNG.normal(size=400),
        "weak": RNG.normal(size=400),
        "kind": pd.Categorical(RNG.choice(["a", "b"], 400)),
        "noise": RNG.normal(size=400),
    }
)
TRUTH = (2 * FRAME.strong + 0.5 * FRAME.weak + (FRAME.kind == "b") > 0.5).to_numpy().astype(int)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelDocument, Path]:
    folder = tmp_path_factory.mktemp("important") / "model"
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=30, random_state=0).fit(FRAME, TRUTH)
    return save_model(model, folder, example=FRAME.head(50)), folder


def test_what_matters_stands_first_with_an_interval_over_the_repetitions(saved: tuple[ModelDocument, Path]) -> None:
    found = measure(*saved, FRAME, TRUTH, repeats=6)
    assert (found.metric, found.rows, found.repeats) == ("auc", 400, 6)
    assert found.baseline > 0.95
    assert found.blocks[0].name == "strong"
    assert found.blocks[-1].name == "noise"
    for block in found.blocks:
        assert len(block.values) == 6
        assert block.mean == pytest.approx(np.mean(block.values))
        assert block.low <= block.mean <= block.high
    assert found == measure(*saved, FRAME, TRUTH, repeats=6)
    assert found != measure(*saved, FRAME, TRUTH, repeats=6, seed=1)


def test_blocks_are_mixed_together_and_the_target_may_be_a_column(saved: tuple[ModelDocument, Path]) -> None:
    rows = FRAME.assign(late=TRUTH)
    found = measure(*saved, rows, "late", repeats=3, blocks={"numbers": ["strong", "weak"]}, metric="log_loss")
    assert (found.blocks[0].name, found.blocks[0].inputs) == ("numbers", ("strong", "weak"))
    assert {block.name for block in found.blocks} == {"numbers", "kind", "noise"}
    assert found.blocks[0].mean > 0  # a loss that rises counts as much as a score that falls


def test_a_regression_is_measured_by_its_error(tmp_path: Path) -> None:
    numbers = FRAME[["strong", "noise"]]
    document = save_model(LinearRegression().fit(numbers, numbers.strong * 3), tmp_path, example=numbers.head())
    found = measure(document, tmp_path, numbers, numbers.strong * 3, repeats=3)
    assert found.metric == "rmse"
    assert [block.name for block in found.blocks] == ["strong", "noise"]


def test_a_function_of_text_has_importances_too(tmp_path: Path) -> None:
    def length(text: str, other: float) -> float:
        return float(len(text))

    rows = pd.DataFrame({"text": ["a", "bb", "ccc", "dddd"] * 10, "other": np.arange(40.0)})
    document = save_model(length, tmp_path, example=rows.head())
    found = measure(document, tmp_path, rows, rows.text.str.len(), repeats=3)
    assert {block.name: block.mean > 0 for block in found.blocks} == {"text": True, "other": False}


def test_a_function_of_text_is_evaluated_like_other_models(live: Any) -> None:
    def late(text: str) -> float:
        return 60.0 if "fog" in text else 5.0

    rows = pd.DataFrame({"text": ["fog at dawn", "clear", "clear", "dense fog"], "delay": [55.0, 5.0, 9.0, 60.0]})
    tilth.log_model(late, "late-by-weather", rows[["text"]])
    found = tilth.evaluate("late-by-weather", rows, "delay")
    assert found.metrics["mae"] == pytest.approx((5 + 0 + 4 + 0) / 4)

    def shout(text: str) -> str:
        return text.upper()

    tilth.log_model(shout, "shouting", rows[["text"]])
    with pytest.raises(UnusableTarget, match="the model answers with text"):
        tilth.evaluate("shouting", rows, "delay")


def test_what_does_not_fit_is_said(saved: tuple[ModelDocument, Path]) -> None:
    with pytest.raises(UnusableBlocks, match="block 'b' names 'speed', which is no input"):
        measure(*saved, FRAME, TRUTH, blocks={"b": ["speed"]})
    with pytest.raises(UnusableBlocks, match="'weak' stands in two blocks"):
        measure(*saved, FRAME, TRUTH, blocks={"a": ["weak"], "b": ["weak"]})
    with pytest.raises(UnknownScore, match="no metric 'rmse' for this model"):
        measure(*saved, FRAME, TRUTH, metric="rmse")
    with pytest.raises(UnknownScore, match="auc is not defined on these rows"):
        measure(*saved, FRAME[TRUTH == 1], TRUTH[TRUTH == 1])
    with pytest.raises(UnusableTarget, match="no column 'late'"):
        measure(*saved, FRAME, "late")


def test_the_model_keeps_it_the_run_gets_the_file_and_rows_are_explained(live: Any) -> None:
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=10, random_state=0).fit(FRAME, TRUTH)
    with tilth.run("importances") as run:
        logged = tilth.log_model(model, "important-inputs", FRAME.head(50), explain=FRAME, y=TRUTH)
    assert logged.document.importance is not None
    loaded = tilth.load_model("important-inputs")
    assert loaded.document.importance == logged.document.importance
    again = tilth.importance(loaded, FRAME, TRUTH)
    assert again == loaded.document.importance
    told = loaded.explain(FRAME.head(3))
    assert set(told[0].contributions) == set(FRAME.columns)
    assert told[0].base + sum(told[0].contributions.values()) == pytest.approx(told[0].margin)
    assert run is not None
    with httpx.Client(base_url=live.url, headers={"origin": live.url}, follow_redirects=True, timeout=30) as browser:
        link = browser.post("/api/v1/login-links", headers={"authorization": f"Bearer {live.token}"}).json()["url"]
        browser.get(link).raise_for_status()
        page = browser.get(logged.url).text
    assert "What each input is worth" in page
    assert 'aria-label="strong: ' in page
    assert "from the trees of its compiled engine" in page
    assert "log-odds of the answer" in page
