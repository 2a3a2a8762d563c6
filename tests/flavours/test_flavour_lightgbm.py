"""LightGBM models: saved natively, read back by MLflow and by ourselves, always with equal answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from tilth.flavours import EngineUnusable, UnusableExample, flavour_named, load_predictor, save_model
from tilth.wire.models import ModelDocument

from .conftest import Trips

FEW = {"n_estimators": 12, "n_jobs": 1, "random_state": 0, "verbose": -1}


def framework_of(folder: Path, document: ModelDocument) -> Any:
    return flavour_named(document.flavour).load(folder, document)


def rows_of(frame: Any, document: ModelDocument) -> Any:
    return flavour_named(document.flavour).encode(frame, document.signature)


def test_categories_keep_the_codes_of_training_and_compile(trips: Trips, tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(**FEW).fit(trips.frame, trips.late)
    document = save_model(model, tmp_path, example=trips.frame.head(40))
    expected = model.predict_proba(trips.frame)[:, 1]
    own, compiled = framework_of(tmp_path, document), load_predictor(tmp_path, document)
    assert (own.engine, compiled.engine) == ("lightgbm", "treelite")
    assert own.predict(rows_of(trips.frame, document)) == pytest.approx(expected, abs=0)
    assert compiled.predict(rows_of(trips.frame, document)) == pytest.approx(expected, abs=1e-12)
    assert document.signature.inputs[1].categories == ("UA", "AA", "WN", "B6")


def test_classes_by_name_come_as_shares_or_as_the_name(trips: Trips, tmp_path: Path) -> None:
    third = np.array(["low", "mid", "top"])[np.digitize(trips.frame.wind.fillna(0), [8.0, 12.0])]
    model = lightgbm.LGBMClassifier(**FEW).fit(trips.frame, third)
    shares = save_model(model, tmp_path / "shares", example=trips.frame.head(40))
    assert [output.name for output in shares.signature.outputs] == ["low", "mid", "top"]
    answer = load_predictor(tmp_path / "shares", shares).predict(rows_of(trips.frame, shares))
    assert answer == pytest.approx(model.predict_proba(trips.frame), abs=1e-6)
    chosen = save_model(model, tmp_path / "chosen", example=trips.frame.head(40), method="predict")
    names = chosen.signature.outputs[0].categories
    assert names == ("low", "mid", "top")
    answer = load_predictor(tmp_path / "chosen", chosen).predict(rows_of(trips.frame, chosen))
    assert [names[int(at)] for at in answer] == model.predict(trips.frame).tolist()


def test_a_booster_of_probabilities_counts_as_a_classifier(trips: Trips, tmp_path: Path) -> None:
    data = lightgbm.Dataset(trips.frame, trips.late)
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 8)
    document = save_model(booster, tmp_path, example=trips.frame.head(40))
    assert (document.method, document.classes) == ("predict_proba", ("0", "1"))
    answer = load_predictor(tmp_path, document).predict(rows_of(trips.frame, document))
    assert answer == pytest.approx(booster.predict(trips.frame), abs=1e-12)


def test_a_regression_on_an_array_compiles(trips: Trips, tmp_path: Path) -> None:
    data = trips.frame[["wind", "hour"]].to_numpy(dtype=float)
    model = lightgbm.LGBMRegressor(**FEW).fit(data, trips.late * 1e5)
    document = save_model(model, tmp_path, example=data[:5])
    predictor = load_predictor(tmp_path, document)
    assert predictor.engine == "treelite"
    assert predictor.predict(data) == pytest.approx(model.booster_.predict(data), rel=1e-9)


def test_training_that_stopped_early_is_served_up_to_its_best_round(trips: Trips, tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(**FEW | {"n_estimators": 200, "learning_rate": 0.8})
    stop = lightgbm.early_stopping(3, verbose=False)
    model.fit(trips.frame[:300], trips.late[:300], eval_X=trips.frame[300:], eval_y=trips.late[300:], callbacks=[stop])
    document = save_model(model, tmp_path, example=trips.frame.head(40))
    answer = load_predictor(tmp_path, document).predict(rows_of(trips.frame, document))
    assert answer == pytest.approx(model.predict_proba(trips.frame)[:, 1], abs=1e-12)


def test_an_example_without_the_categories_of_training_is_refused(trips: Trips, tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(**FEW).fit(trips.frame, trips.late)
    with pytest.raises(UnusableExample, match="fitted on 1 columns of type category, the example has 0"):
        save_model(model, tmp_path, example=trips.frame.head().astype({"carrier": object}))


def test_mlflow_reads_the_folder(trips: Trips, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow.pyfunc")
    numbers = trips.frame[["wind", "hour"]]
    plain = lightgbm.LGBMRegressor(**FEW).fit(numbers, trips.late)
    save_model(plain, tmp_path / "plain", example=numbers.head())
    assert mlflow.load_model(str(tmp_path / "plain")).predict(numbers) == pytest.approx(plain.predict(numbers), abs=0)
    model = lightgbm.LGBMClassifier(**FEW).fit(trips.frame, trips.late)
    save_model(model, tmp_path / "coded", example=trips.frame.head(40))
    texts = trips.complete.frame.astype({"carrier": object})
    answer = mlflow.load_model(str(tmp_path / "coded")).predict(texts)
    assert answer == pytest.approx(model.predict_proba(trips.complete.frame)[:, 1], abs=1e-12)


def test_a_damaged_file_is_named(trips: Trips, tmp_path: Path) -> None:
    model = lightgbm.LGBMRegressor(**FEW).fit(trips.frame, trips.late)
    document = save_model(model, tmp_path, example=trips.frame.head(40))
    (tmp_path / "model.lgb").write_text("no trees here")
    with pytest.raises(EngineUnusable, match=r"LightGBM cannot read model\.lgb"):
        framework_of(tmp_path, document)
