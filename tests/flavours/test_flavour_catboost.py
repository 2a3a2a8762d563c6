"""CatBoost models: saved natively, read back by MLflow and by ourselves, always with equal answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pytest

from tilth.flavours import EngineUnusable, flavour_named, load_predictor, save_model
from tilth.wire.models import ModelDocument

from .conftest import Trips

FEW = {"iterations": 12, "thread_count": 1, "verbose": 0, "allow_writing_files": False, "random_seed": 0}


def rows_of(frame: Any, document: ModelDocument) -> Any:
    return flavour_named(document.flavour).encode(frame, document.signature)


def test_categories_are_met_by_their_text_and_whole_numbers_may_be_categories(trips: Trips, tmp_path: Path) -> None:
    frame, late = trips.complete
    model = catboost.CatBoostClassifier(cat_features=["carrier", "hour"], **FEW).fit(frame, late)
    document = save_model(model, tmp_path, example=frame.head(40))
    predictor = load_predictor(tmp_path, document)
    assert (predictor.engine, document.method, document.classes) == ("catboost", "predict_proba", ("0", "1"))
    assert predictor.predict(rows_of(frame, document)) == pytest.approx(model.predict_proba(frame)[:, 1], abs=0)
    wind, carrier, _ = document.signature.inputs
    assert wind.nullable
    assert not carrier.nullable  # CatBoost itself refuses a missing category
    assert "CatBoostClassifier is no tree ensemble that treelite reads" in document.not_compiled


def test_classes_by_name_come_as_shares_or_as_the_name(trips: Trips, tmp_path: Path) -> None:
    frame = trips.frame[["wind", "hour"]]
    third = np.array(["low", "mid", "top"])[np.digitize(frame.wind.fillna(0), [8.0, 12.0])]
    model = catboost.CatBoostClassifier(**FEW).fit(frame, third)
    shares = save_model(model, tmp_path / "shares", example=frame.head())
    assert [output.name for output in shares.signature.outputs] == ["low", "mid", "top"]
    answer = load_predictor(tmp_path / "shares", shares).predict(rows_of(frame, shares))
    assert answer == pytest.approx(model.predict_proba(frame), abs=1e-12)
    chosen = save_model(model, tmp_path / "chosen", example=frame.head(), method="predict")
    names = chosen.signature.outputs[0].categories
    assert names is not None
    answer = load_predictor(tmp_path / "chosen", chosen).predict(rows_of(frame, chosen))
    assert [names[int(at)] for at in answer] == model.predict(frame)[:, 0].tolist()


def test_a_regression_of_counts_answers_in_counts(trips: Trips, tmp_path: Path) -> None:
    data = trips.frame[["wind", "hour"]].to_numpy(dtype=float)
    model = catboost.CatBoostRegressor(loss_function="Poisson", **FEW).fit(data, trips.late * 5)
    document = save_model(model, tmp_path, example=data[:5])
    assert load_predictor(tmp_path, document).predict(data) == pytest.approx(model.predict(data), abs=1e-12)


def test_mlflow_reads_the_folder(trips: Trips, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow.pyfunc")
    frame, late = trips.complete
    numbers = frame[["wind", "hour"]]
    plain = catboost.CatBoostRegressor(**FEW).fit(numbers, late)
    save_model(plain, tmp_path / "plain", example=numbers.head())
    assert mlflow.load_model(str(tmp_path / "plain")).predict(numbers) == pytest.approx(plain.predict(numbers), abs=0)
    model = catboost.CatBoostClassifier(cat_features=["carrier"], **FEW).fit(frame, late)
    save_model(model, tmp_path / "texts", example=frame.head(40))
    answer = mlflow.load_model(str(tmp_path / "texts")).predict(frame.astype({"carrier": object}))
    assert answer == pytest.approx(model.predict_proba(frame)[:, 1], abs=0)


def test_a_damaged_file_is_named(trips: Trips, tmp_path: Path) -> None:
    numbers = trips.frame[["wind", "hour"]]
    document = save_model(catboost.CatBoostRegressor(**FEW).fit(numbers, trips.late), tmp_path, example=numbers.head())
    (tmp_path / "model.cb").write_bytes(b"no trees here")
    with pytest.raises(EngineUnusable, match=r"CatBoost cannot read model\.cb"):
        flavour_named("catboost").load(tmp_path, document)
