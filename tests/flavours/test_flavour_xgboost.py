"""XGBoost models: saved natively, read back by MLflow and by ourselves, always with equal answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.model_selection import GridSearchCV

from tilth.flavours import EngineUnusable, UnusableExample, flavour_named, load_predictor, save_model
from tilth.wire.models import ModelDocument

from .conftest import Trips

FEW = {"n_estimators": 12, "n_jobs": 1, "random_state": 0}


def framework_of(folder: Path, document: ModelDocument) -> Any:
    return flavour_named(document.flavour).load(folder, document)


def rows_of(frame: Any, document: ModelDocument) -> Any:
    return flavour_named(document.flavour).encode(frame, document.signature)


def test_categories_keep_the_codes_of_training_and_compile(trips: Trips, tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(enable_categorical=True, **FEW).fit(trips.frame, trips.late)
    document = save_model(model, tmp_path, example=trips.frame.head(40))
    expected = model.predict_proba(trips.frame)[:, 1]
    own, compiled = framework_of(tmp_path, document), load_predictor(tmp_path, document)
    assert (own.engine, compiled.engine) == ("xgboost", "treelite")
    assert own.predict(rows_of(trips.frame, document)) == pytest.approx(expected, abs=0)
    assert compiled.predict(rows_of(trips.frame, document)) == pytest.approx(expected, abs=1e-6)
    assert document.signature.inputs[1].categories == ("UA", "AA", "WN", "B6")
    assert document.compiled[0].parity.categories_checked


def test_an_example_that_holds_few_categories_in_another_order_is_coded_as_in_training(trips: Trips, tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(enable_categorical=True, **FEW).fit(trips.frame, trips.late)
    few = trips.frame[trips.frame.carrier.isin(["B6", "UA"])].head(20).copy()
    few["carrier"] = few.carrier.astype(str).astype("category")
    assert list(few.carrier.cat.categories) == ["B6", "UA"]
    document = save_model(model, tmp_path, example=few)
    assert document.signature.inputs[1].categories == ("UA", "AA", "WN", "B6")
    answer = load_predictor(tmp_path, document).predict(rows_of(trips.frame, document))
    assert answer == pytest.approx(model.predict_proba(trips.frame)[:, 1], abs=1e-6)


def test_a_booster_of_probabilities_counts_as_a_classifier(trips: Trips, tmp_path: Path) -> None:
    frame = trips.frame[["wind", "hour"]]
    matrix = xgboost.DMatrix(frame, trips.late, nthread=1)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 8)
    document = save_model(booster, tmp_path, example=frame.head())
    assert (document.method, document.classes) == ("predict_proba", ("0", "1"))
    assert framework_of(tmp_path, document).predict(rows_of(frame, document)) == pytest.approx(booster.predict(matrix), abs=0)


def test_several_classes_and_the_class_itself(trips: Trips, tmp_path: Path) -> None:
    data = np.nan_to_num(trips.frame[["wind", "hour"]].to_numpy(dtype=float))
    third = np.digitize(data[:, 0], [8.0, 12.0])
    model = xgboost.XGBClassifier(**FEW).fit(data, third)
    shares = save_model(model, tmp_path / "shares", example=data[:5])
    assert [output.name for output in shares.signature.outputs] == ["0", "1", "2"]
    answer = load_predictor(tmp_path / "shares", shares).predict(data)
    assert answer == pytest.approx(model.predict_proba(data), abs=1e-6)
    chosen = save_model(model, tmp_path / "chosen", example=data[:5], method="predict")
    assert chosen.signature.outputs[0].type == "long"
    assert load_predictor(tmp_path / "chosen", chosen).predict(data).tolist() == model.predict(data).tolist()


def test_a_regression_that_treelite_sums_up_otherwise_is_served_by_the_booster(trips: Trips, tmp_path: Path) -> None:
    price = trips.late * 1e5 + trips.frame.hour
    model = xgboost.XGBRegressor(enable_categorical=True, **FEW).fit(trips.frame, price)
    document = save_model(model, tmp_path, example=trips.frame.head(40))
    predictor = load_predictor(tmp_path, document)
    assert predictor.predict(rows_of(trips.frame, document)) == pytest.approx(model.predict(trips.frame), rel=1e-6)
    assert predictor.engine == "xgboost" or document.compiled[0].parity.passed


def test_training_that_stopped_early_is_served_up_to_its_best_round(trips: Trips, tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, learning_rate=0.8, enable_categorical=True, n_jobs=1)
    model.fit(trips.frame[:300], trips.late[:300], eval_set=[(trips.frame[300:], trips.late[300:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    document = save_model(model, tmp_path, example=trips.frame.head(40))
    expected = model.predict_proba(trips.frame)[:, 1]
    assert framework_of(tmp_path, document).predict(rows_of(trips.frame, document)) == pytest.approx(expected, abs=0)
    assert load_predictor(tmp_path, document).predict(rows_of(trips.frame, document)) == pytest.approx(expected, abs=1e-6)


def test_a_linear_booster_and_the_best_of_a_search_are_served(trips: Trips, tmp_path: Path) -> None:
    data = np.nan_to_num(trips.frame[["wind", "hour"]].to_numpy(dtype=float))
    linear = xgboost.XGBRegressor(booster="gblinear", updater="coord_descent", **FEW).fit(data, trips.late)
    document = save_model(linear, tmp_path / "linear", example=data[:5])
    assert load_predictor(tmp_path / "linear", document).predict(data) == pytest.approx(linear.predict(data), abs=1e-6)
    search = GridSearchCV(xgboost.XGBClassifier(**FEW), {"max_depth": [2, 3]}, cv=2).fit(data, trips.late)
    document = save_model(search, tmp_path / "search", example=data[:5])
    assert document.flavour == "xgboost"
    answer = load_predictor(tmp_path / "search", document).predict(data)
    assert answer == pytest.approx(search.predict_proba(data)[:, 1], abs=1e-6)


def test_mlflow_reads_the_folder(trips: Trips, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow.pyfunc")
    numbers = trips.frame[["wind", "hour"]]
    plain = xgboost.XGBRegressor(**FEW).fit(numbers, trips.late)
    save_model(plain, tmp_path / "plain", example=numbers.head())
    assert mlflow.load_model(str(tmp_path / "plain")).predict(numbers) == pytest.approx(plain.predict(numbers), abs=0)
    model = xgboost.XGBClassifier(enable_categorical=True, **FEW).fit(trips.frame, trips.late)
    save_model(model, tmp_path / "coded", example=trips.frame.head(40))
    texts = trips.complete.frame.astype({"carrier": object})
    answer = mlflow.load_model(str(tmp_path / "coded")).predict(texts)
    assert answer == pytest.approx(model.predict_proba(trips.complete.frame)[:, 1], abs=1e-6)


def test_an_example_with_other_columns_is_refused(trips: Trips, tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(enable_categorical=True, **FEW).fit(trips.frame, trips.late)
    with pytest.raises(UnusableExample, match="the model was fitted on wind, carrier, hour, in this order"):
        save_model(model, tmp_path, example=trips.frame[["hour", "wind", "carrier"]].head())


def test_a_damaged_file_is_named(trips: Trips, tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(**FEW).fit(pd.DataFrame({"a": [1.0, 2, 3]}), [1.0, 2, 3])
    document = save_model(model, tmp_path, example=pd.DataFrame({"a": [1.0]}))
    (tmp_path / "model.ubj").write_bytes(b"{}")
    with pytest.raises(EngineUnusable, match=r"XGBoost cannot read model\.ubj"):
        framework_of(tmp_path, document)
