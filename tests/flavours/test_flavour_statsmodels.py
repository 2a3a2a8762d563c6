"""statsmodels' results: by formula and by arrays, read back by MLflow and by ourselves, always with equal answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api
import statsmodels.formula.api

from tilth.flavours import UnusableExample, flavour_named, load_predictor, save_model
from tilth.wire.models import ModelDocument

from .conftest import Trips


@pytest.fixture(scope="module")
def frame(trips: Trips) -> pd.DataFrame:
    return trips.complete.frame.assign(late=trips.complete.late)


def rows_of(frame: Any, document: ModelDocument) -> Any:
    return flavour_named(document.flavour).encode(frame, document.signature)


def test_a_formula_takes_the_columns_it_reads_and_no_others(frame: pd.DataFrame, tmp_path: Path) -> None:
    results = statsmodels.formula.api.ols("late ~ wind + C(carrier) + np.log1p(hour)", frame).fit()
    document = save_model(results, tmp_path, example=frame.head(40))
    assert [column.name for column in document.signature.inputs] == ["wind", "carrier", "hour"]
    assert document.signature.inputs[1].categories == ("UA", "AA", "WN", "B6")
    predictor = load_predictor(tmp_path, document)
    assert predictor.engine == "statsmodels"
    assert predictor.predict(rows_of(frame, document)) == pytest.approx(results.predict(frame).to_numpy(), abs=1e-12)
    assert predictor.predict(rows_of(frame[:1], document)) == pytest.approx(results.predict(frame[:1]).to_numpy(), abs=1e-12)


def test_probabilities_of_two_classes_count_as_a_classifier(frame: pd.DataFrame, tmp_path: Path) -> None:
    binomial = statsmodels.api.families.Binomial()
    for number, results in enumerate(
        (
            statsmodels.formula.api.logit("late ~ wind + hour", frame).fit(disp=0),
            statsmodels.formula.api.glm("late ~ wind * hour", frame, family=binomial).fit(),
        )
    ):
        folder = tmp_path / str(number)
        document = save_model(results, folder, example=frame.head(40))
        assert (document.method, document.classes) == ("predict_proba", ("0", "1"))
        answer = load_predictor(folder, document).predict(rows_of(frame, document))
        assert answer == pytest.approx(results.predict(frame).to_numpy(), abs=1e-12)
    chosen = save_model(results, tmp_path / "chosen", example=frame.head(40), method="predict")
    assert set(load_predictor(tmp_path / "chosen", chosen).predict(rows_of(frame, chosen))) <= {0.0, 1.0}


def test_results_over_arrays_leave_their_training_data_behind(frame: pd.DataFrame, tmp_path: Path) -> None:
    inputs = statsmodels.api.add_constant(frame[["wind", "hour"]])
    results = statsmodels.api.OLS(frame.late, inputs).fit()
    document = save_model(results, tmp_path, example=inputs.head())
    assert [column.name for column in document.signature.inputs] == ["const", "wind", "hour"]
    compiled = load_predictor(tmp_path, document)
    assert compiled.engine == "linear"
    assert compiled.predict(rows_of(inputs, document)) == pytest.approx(results.predict(inputs))
    assert (tmp_path / "model.statsmodels").stat().st_size < 20 * len(frame)
    matrix = inputs.to_numpy()
    counts = statsmodels.api.GLM(frame.late, matrix, family=statsmodels.api.families.Poisson()).fit()
    document = save_model(counts, tmp_path / "counts", example=matrix[:5])
    assert load_predictor(tmp_path / "counts", document).predict(matrix) == pytest.approx(counts.predict(matrix), abs=1e-12)
    late = statsmodels.api.Logit(frame.late, matrix).fit(disp=0)
    document = save_model(late, tmp_path / "late", example=matrix[:5])
    assert document.compiled[0].parity.passed
    assert load_predictor(tmp_path / "late", document).predict(matrix) == pytest.approx(late.predict(matrix), abs=1e-12)


def test_mlflow_reads_the_folder(frame: pd.DataFrame, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow.pyfunc")
    results = statsmodels.formula.api.ols("late ~ wind + hour", frame).fit()
    save_model(results, tmp_path, example=frame.head())
    answer = mlflow.load_model(str(tmp_path)).predict(frame[["wind", "hour"]])
    assert np.asarray(answer) == pytest.approx(results.predict(frame).to_numpy(), abs=1e-12)


def test_what_cannot_be_served_is_said(frame: pd.DataFrame, tmp_path: Path) -> None:
    results = statsmodels.formula.api.ols("late ~ wind", frame).fit()
    with pytest.raises(UnusableExample, match="fitted by a formula: give the example as a DataFrame"):
        save_model(results, tmp_path, example=np.ones((2, 1)))
    with pytest.raises(UnusableExample, match="is not fitted: log what its fit"):
        save_model(statsmodels.api.OLS(frame.late, frame[["wind"]]), tmp_path, example=frame[["wind"]].head())
