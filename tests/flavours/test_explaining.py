"""Reasons for answers: contributions of the inputs that add up to the answer, equal to those of the frameworks themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tilth.flavours import CannotExplain, flavour_named, load_predictor, save_model
from tilth.flavours.explaining import AdditiveExplainer, load_explainer, reasons_of
from tilth.flavours.tree_reasons import TreeReasons
from tilth.flavours.treelite_boosters import imported_booster
from tilth.wire.models import ModelDocument

from .conftest import Trips

QUIET = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "iterations": 10}


class Asked:
    """A saved model with its reasons for rows."""

    def __init__(self, model: Any, folder: Path, example: Any, rows: Any = None, **options: Any) -> None:
        self.document: ModelDocument = save_model(model, folder, example=example, **options)
        self.predictor: Any = load_predictor(folder, self.document)
        self.rows: Any = flavour_named(self.document.flavour).encode(example if rows is None else rows, self.document.signature)
        assert self.document.explanation is not None, self.document.not_explained
        self.kind, self.link = self.document.explanation.kind, self.document.explanation.link
        self.explainer = load_explainer(folder, self.document, self.predictor)
        self.reasons = reasons_of(self.explainer, self.rows)

    def answer(self) -> np.ndarray:
        """What base and contributions add up to, as the model answers; of several outputs the explained one's margin."""
        margin = self.reasons.margin
        if self.link == "log":
            return np.asarray(np.exp(margin))
        return np.asarray(1 / (1 + np.exp(-margin))) if self.link == "logistic" else margin


@pytest.fixture(scope="module")
def numbers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 4))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows, (np.nan_to_num(rows[:, 0] * rows[:, 1]) + np.nan_to_num(rows[:, 2]) > 0).astype(int)


def test_contributions_of_trees_are_those_that_lightgbm_computes(numbers: Any) -> None:
    rows, target = numbers
    for labels, outputs in ((target, 1), (target + (np.nan_to_num(rows[:, 3]) > 0.5), 3)):
        model = lightgbm.LGBMClassifier(n_estimators=15, n_jobs=1, verbose=-1).fit(rows, labels)
        reasons = TreeReasons(imported_booster(model), outputs, float32=False, known={})
        contributions, base = reasons.contributions(rows)
        native = model.booster_.predict(rows, pred_contrib=True).reshape(len(rows), outputs, 5)
        assert contributions == pytest.approx(native[:, :, :4], abs=1e-12)
        assert base == pytest.approx(native[0, :, 4], abs=1e-12)


def test_contributions_of_trees_are_those_that_xgboost_computes(numbers: Any) -> None:
    rows, target = numbers
    model = xgboost.XGBClassifier(n_estimators=15, n_jobs=1).fit(rows, target)
    contributions, base = TreeReasons(imported_booster(model), 1, float32=True, known={}).contributions(rows)
    native = model.get_booster().predict(xgboost.DMatrix(rows, nthread=1), pred_contribs=True)
    assert contributions[:, 0] == pytest.approx(native[:, :4], abs=1e-5)
    assert base[0] == pytest.approx(native[0, 4], abs=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=15, random_state=0),
        HistGradientBoostingRegressor(max_iter=15, random_state=0),
        RandomForestClassifier(12, random_state=0),
        RandomForestRegressor(12, max_depth=6, random_state=0),
        GradientBoostingClassifier(n_estimators=12, random_state=0),
        lightgbm.LGBMRegressor(n_estimators=12, n_jobs=1, verbose=-1),
        xgboost.XGBRegressor(n_estimators=12, n_jobs=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_reasons_of_trees_add_up_to_the_answer(model: Any, numbers: Any, tmp_path: Path) -> None:
    rows, target = np.nan_to_num(numbers[0]), numbers[1]
    asked = Asked(model.__sklearn_clone__().fit(rows, target), tmp_path, rows)
    assert asked.kind == "trees"
    assert asked.answer() == pytest.approx(asked.predictor.predict(rows), abs=1e-5)
    assert asked.reasons.contributions.shape == rows.shape


def test_categories_and_gaps_are_inputs_like_others(trips: Trips, tmp_path: Path) -> None:
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20, random_state=0)
    asked = Asked(boosting.fit(trips.frame, trips.late), tmp_path, trips.frame)
    assert asked.answer() == pytest.approx(boosting.predict_proba(trips.frame)[:, 1], abs=1e-9)
    worth = asked.reasons.contributions[:, 1]
    assert worth[trips.frame.carrier == "WN"].min() > worth[trips.frame.carrier == "AA"].max()


def test_frameworks_explain_what_treelite_does_not_hold(trips: Trips, tmp_path: Path) -> None:
    frame, late = trips.complete
    count = catboost.CatBoostRegressor(cat_features=["carrier"], loss_function="Poisson", **QUIET).fit(frame, late * 3)
    several = catboost.CatBoostClassifier(cat_features=["carrier"], **QUIET).fit(frame, frame.hour // 8)
    two = catboost.CatBoostClassifier(cat_features=["carrier"], **QUIET).fit(frame, late)
    price = xgboost.XGBRegressor(enable_categorical=True, n_estimators=12, n_jobs=1).fit(frame, late * 1e5)
    plain = lightgbm.LGBMClassifier(n_estimators=8, n_jobs=1, verbose=-1).fit(frame, late)
    for number, (model, link) in enumerate(((count, "log"), (two, "logistic"), (price, "identity"), (plain, "logistic"))):
        asked = Asked(model, tmp_path / str(number), frame, compilers=())
        assert (asked.kind, asked.link) == ("native", link)
        assert asked.answer() == pytest.approx(asked.predictor.predict(asked.rows), rel=1e-4, abs=0.1 if model is price else 1e-5)
    asked = Asked(several, tmp_path / "several", frame)
    assert (asked.kind, asked.link) == ("native", "softmax")
    assert asked.reasons.output.tolist() == asked.predictor.predict(asked.rows).argmax(axis=1).tolist()


def test_a_linear_model_adds_coefficient_times_distance_from_the_mean(numbers: Any, tmp_path: Path) -> None:
    rows, target = np.nan_to_num(numbers[0]), numbers[1]
    linear = LinearRegression().fit(rows, target)
    asked = Asked(linear, tmp_path / "linear", rows[:200])
    assert (asked.kind, asked.link) == ("additive", "identity")
    expected = linear.coef_ * (asked.rows - rows[:200].mean(axis=0))
    assert asked.reasons.contributions == pytest.approx(expected, abs=1e-12)
    assert asked.reasons.base == pytest.approx(np.full(200, linear.predict(rows[:200]).mean()))
    logistic = LogisticRegression().fit(rows, target)
    asked = Asked(logistic, tmp_path / "logistic", rows[:200])
    assert asked.link == "logistic"
    expected = logistic.coef_ * (asked.rows - rows[:200].mean(axis=0))
    assert asked.reasons.contributions == pytest.approx(expected, abs=1e-8)


def test_preparation_of_columns_stays_within_the_column(trips: Trips, tmp_path: Path) -> None:
    frame, late = trips.complete
    prepare = make_column_transformer((OneHotEncoder(), ["carrier"]), (StandardScaler(), ["wind", "hour"]))
    model = make_pipeline(prepare, LogisticRegression()).fit(frame, late)
    asked = Asked(model, tmp_path / "two", frame.head(100))
    assert (asked.kind, asked.link) == ("additive", "logistic")
    assert asked.answer() == pytest.approx(asked.predictor.predict(asked.rows), abs=1e-4)
    several = make_pipeline(prepare, LogisticRegression()).fit(frame, frame.hour // 8)
    assert Asked(several, tmp_path / "several", frame.head(100)).link == "softmax"
    counts = make_pipeline(prepare, PoissonRegressor()).fit(frame, late)
    assert Asked(counts, tmp_path / "counts", frame.head(100)).link == "log"


def test_a_formula_without_products_is_a_sum_and_one_with_a_product_is_none(trips: Trips, tmp_path: Path) -> None:
    frame = trips.complete.frame.assign(late=trips.complete.late)
    plain = statsmodels.formula.api.ols("late ~ wind + C(carrier) + np.log1p(hour)", frame).fit()
    assert Asked(plain, tmp_path / "plain", frame.head(100)).kind == "additive"
    product = statsmodels.formula.api.ols("late ~ wind * hour", frame).fit()
    document = save_model(product, tmp_path / "product", example=frame.head(100))
    assert document.explanation is None
    assert "no sum over the inputs" in document.not_explained


def test_a_model_that_nothing_explains_says_why(numbers: Any, tmp_path: Path) -> None:
    rows, target = np.nan_to_num(numbers[0]), numbers[1]
    document = save_model(KNeighborsClassifier(3).fit(rows, target), tmp_path, example=rows[:50])
    with pytest.raises(CannotExplain, match="no tree ensemble that treelite answers for"):
        load_explainer(tmp_path, document, load_predictor(tmp_path, document))  # type: ignore[arg-type]


def test_rows_whose_answer_is_no_sum_are_not_explained_by_one(tmp_path: Path) -> None:
    """Within the example the model is constant; beyond it is not."""

    class Bent:
        engine = "bent"

        def predict(self, rows: Any) -> Any:
            return np.where((rows > 10).all(axis=1), 5.0, rows.sum(axis=1))

    asked = Asked(LinearRegression().fit(np.eye(3), [1, 2, 3]), tmp_path, np.arange(12.0).reshape(4, 3))
    explanation = asked.document.explanation
    assert explanation is not None
    with pytest.raises(CannotExplain, match="no sum over the inputs"):
        AdditiveExplainer(Bent(), explanation).contributions(np.full((1, 3), 20.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 5))
def test_contributions_add_up_whatever_the_trees(seed: int, depth: int, inputs: int) -> None:
    import treelite.sklearn

    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(60, inputs)), 1)
    model = RandomForestRegressor(3, max_depth=depth, random_state=seed).fit(rows, rng.normal(size=60))
    contributions, base = TreeReasons(treelite.sklearn.import_model(model), 1, float32=True, known={}).contributions(rows)
    assert base[0] + contributions[:, 0].sum(axis=1) == pytest.approx(model.predict(rows), abs=1e-9)


@pytest.mark.slow
def test_contributions_are_those_of_shap(numbers: Any) -> None:
    shap = pytest.importorskip("shap")
    import treelite.sklearn

    rows, target = np.nan_to_num(numbers[0]), numbers[1]
    model = HistGradientBoostingClassifier(max_iter=15, random_state=0).fit(rows, target)
    contributions, base = TreeReasons(treelite.sklearn.import_model(model), 1, float32=False, known={}).contributions(rows)
    explainer = shap.TreeExplainer(model)
    assert contributions[:, 0] == pytest.approx(explainer.shap_values(rows), abs=1e-6)
    assert base[0] == pytest.approx(float(np.ravel(explainer.expected_value)[0]), abs=1e-6)


def test_an_empty_table_has_no_reasons(numbers: Any, tmp_path: Path) -> None:
    rows, target = np.nan_to_num(numbers[0]), numbers[1]
    asked = Asked(
        RandomForestClassifier(3, random_state=0).fit(pd.DataFrame(rows, columns=list("abcd")), target),
        tmp_path,
        pd.DataFrame(rows, columns=list("abcd")),
    )
    assert reasons_of(asked.explainer, np.empty((0, 4))).contributions.shape == (0, 4)
