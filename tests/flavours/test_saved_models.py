"""Models of many kinds: saved, read back by MLflow and by ourselves, compiled where they can be, always with equal answers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from tilth.flavours import UnusableExample, flavour_named, load_predictor, save_model
from tilth.wire.models import ModelDocument

ROWS = 600


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Mixed columns: a vocabulary in no alphabetical order with a category that never occurs, missing values, whole numbers."""
    rng = np.random.default_rng(3)
    carrier = np.where(rng.random(ROWS) < 0.1, -1, rng.integers(0, 4, ROWS))
    frame = pd.DataFrame(
        {
            "wind": rng.normal(10, 4, ROWS),
            "carrier": pd.Categorical.from_codes(carrier, ["UA", "AA", "WN", "B6", "never"]),
            "hour": rng.integers(0, 24, ROWS),
            "origin": pd.Categorical.from_codes(rng.integers(0, 3, ROWS), ["LGA", "JFK", "EWR"]),
            "distance": rng.uniform(100, 5000, ROWS),
        }
    )
    frame.loc[rng.random(ROWS) < 0.1, "wind"] = np.nan
    return frame


@pytest.fixture(scope="module")
def late(flights: pd.DataFrame) -> np.ndarray:
    score = (flights.carrier == "WN") * 2.0 + (flights.hour > 15) + (flights.origin == "EWR") + flights.wind.fillna(0) / 10
    return (score + np.random.default_rng(4).normal(0, 0.5, ROWS) > 2.2).to_numpy().astype(int)


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(ROWS, 4))


@pytest.fixture(scope="module")
def positive(numbers: np.ndarray) -> np.ndarray:
    return (numbers[:, 0] + numbers[:, 1] * numbers[:, 2] > 0).astype(int)


def saved(model: Any, folder: Path, example: Any, **options: Any) -> ModelDocument:
    document = save_model(model, folder, example=example, **options)
    assert msgspec.json.decode((folder / "tilth.json").read_bytes(), type=ModelDocument) == document
    return document


def both_engines(folder: Path, document: ModelDocument) -> tuple[Any, Any]:
    return load_predictor(folder, document), flavour_named(document.flavour).load(folder, document)


def rows_of(frame: Any, document: ModelDocument) -> np.ndarray:
    return flavour_named(document.flavour).encode(frame, document.signature)


def as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """MLflow's own signature has no categories: its clients send text."""
    return frame.astype({name: object for name in frame.columns if frame[name].dtype == "category"})


def test_boosting_over_categories_and_missing_values_compiles_and_answers_as_the_framework(
    flights: pd.DataFrame, late: np.ndarray, tmp_path: Path
) -> None:
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=40, random_state=0).fit(flights, late)
    document = saved(model, tmp_path, flights.head(5))
    compiled, framework = both_engines(tmp_path, document)
    rows = rows_of(flights, document)
    assert (compiled.engine, framework.engine) == ("treelite", "sklearn")
    expected = model.predict_proba(flights)[:, 1]
    assert framework.predict(rows) == pytest.approx(expected, abs=0)
    assert compiled.predict(rows) == pytest.approx(expected, abs=1e-12)
    parity = document.compiled[0].parity
    assert parity.passed
    assert parity.rows >= 1000
    assert parity.flips == 0
    assert parity.max_difference <= 1e-6
    assert parity.missing_checked
    assert parity.categories_checked


def test_a_category_that_training_never_saw_counts_as_missing_in_both_engines(
    flights: pd.DataFrame, late: np.ndarray, tmp_path: Path
) -> None:
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=40, random_state=0).fit(flights, late)
    document = saved(model, tmp_path, flights.head(5))
    compiled, framework = both_engines(tmp_path, document)
    rows = rows_of(flights, document)
    never, missing = rows.copy(), rows.copy()
    never[:, 1], missing[:, 1] = 4, np.nan
    assert compiled.predict(never) == pytest.approx(framework.predict(never), abs=1e-12)
    assert compiled.predict(never) == pytest.approx(compiled.predict(missing), abs=0)


def test_the_signature_tells_types_vocabularies_and_what_may_be_missing(
    flights: pd.DataFrame, late: np.ndarray, tmp_path: Path
) -> None:
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5, random_state=0).fit(flights, late)
    document = saved(model, tmp_path, flights.head(2), unseen={"carrier": "missing"})
    wind, carrier, hour, origin, distance = document.signature.inputs
    assert (wind.name, wind.type, wind.nullable) == ("wind", "double", True)
    assert carrier.categories == ("UA", "AA", "WN", "B6", "never")
    assert (carrier.type, carrier.nullable, carrier.unseen) == ("string", True, "missing")
    assert (hour.type, hour.nullable) == ("long", False)
    assert (origin.categories, origin.unseen) == (("LGA", "JFK", "EWR"), "refuse")
    assert distance.type == "double"
    assert [(output.name, output.type) for output in document.signature.outputs] == [("probability", "double")]
    assert document.method == "predict_proba"
    assert document.classes == ("0", "1")


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
        HistGradientBoostingClassifier(max_iter=10, categorical_features=[3], random_state=0),
        RandomForestClassifier(10, max_depth=6, random_state=0),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_two_classes_give_one_probability(model: Any, numbers: np.ndarray, positive: np.ndarray, tmp_path: Path) -> None:
    data = numbers.copy()
    data[:, 3] = np.floor(np.abs(data[:, 3]) * 3)
    model = model.__sklearn_clone__().fit(data, positive)
    document = saved(model, tmp_path, data[:5])
    compiled, framework = both_engines(tmp_path, document)
    assert document.not_compiled == ""
    assert compiled.engine in ("treelite", "linear")
    assert compiled.predict(data).shape == (ROWS,)
    assert compiled.predict(data) == pytest.approx(model.predict_proba(data)[:, 1], abs=1e-9)
    assert framework.predict(data[:1]) == pytest.approx(compiled.predict(data[:1]), abs=1e-9)
    assert [column.name for column in document.signature.inputs] == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        RandomForestClassifier(10, max_depth=6, random_state=0),
        LogisticRegression(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_several_classes_give_one_column_each(model: Any, numbers: np.ndarray, tmp_path: Path) -> None:
    colours = np.array(["blue", "green", "red"])[np.digitize(numbers[:, 0] + numbers[:, 1], [-0.5, 0.7])]
    model = model.__sklearn_clone__().fit(numbers, colours)
    document = saved(model, tmp_path, numbers[:5])
    compiled = load_predictor(tmp_path, document)
    assert [output.name for output in document.signature.outputs] == ["blue", "green", "red"]
    assert compiled.engine in ("treelite", "linear")
    # treelite takes the exponential of a softmax in single precision.
    assert compiled.predict(numbers) == pytest.approx(model.predict_proba(numbers), abs=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingRegressor(max_iter=20, random_state=0),
        HistGradientBoostingRegressor(max_iter=20, loss="poisson", random_state=0),
        RandomForestRegressor(10, random_state=0),
        ExtraTreesRegressor(10, random_state=0),
        LinearRegression(),
        make_pipeline(StandardScaler(), Ridge()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_regressions_of_large_values_compile(model: Any, numbers: np.ndarray, tmp_path: Path) -> None:
    price = 1e5 * (3 + numbers[:, 0] + np.abs(numbers[:, 1]))
    price = np.maximum(price, 0)
    model = model.__sklearn_clone__().fit(numbers, price)
    document = saved(model, tmp_path, numbers[:5])
    compiled = load_predictor(tmp_path, document)
    assert document.method == "predict"
    assert [output.name for output in document.signature.outputs] == ["prediction"]
    assert compiled.engine in ("treelite", "linear")
    assert compiled.predict(numbers) == pytest.approx(model.predict(numbers), rel=1e-9)


def test_text_columns_take_their_vocabulary_from_the_caller(flights: pd.DataFrame, late: np.ndarray, tmp_path: Path) -> None:
    frame = flights[["origin", "hour"]].astype({"origin": str})
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["origin"]), remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(frame, late)
    document = saved(model, tmp_path, frame.head(), categories={"origin": ["EWR", "JFK", "LGA"]})
    predictor = load_predictor(tmp_path, document)
    assert predictor.engine == "onnxruntime"
    assert predictor.predict(rows_of(frame, document)) == pytest.approx(model.predict_proba(frame)[:, 1], abs=1e-6)


def test_a_model_that_nothing_compiles_is_served_by_the_framework(numbers: np.ndarray, tmp_path: Path) -> None:
    names = np.where(numbers[:, 0] > 0, "yes", "no")
    model = KNeighborsClassifier(3).fit(numbers, names)
    document = saved(model, tmp_path, numbers[:5])
    predictor = load_predictor(tmp_path, document)
    assert (predictor.engine, document.compiled) == ("sklearn", ())
    assert "KNeighborsClassifier is no tree ensemble that treelite reads" in document.not_compiled
    assert predictor.predict(numbers[:7]) == pytest.approx(model.predict_proba(numbers[:7])[:, 1])
    assert not document.signature.inputs[0].nullable


def test_what_overflows_inside_a_pipeline_is_refused_as_in_process(numbers: np.ndarray, tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(np.exp), LinearRegression()).fit(numbers, numbers[:, 0])
    document = save_model(model, tmp_path, example=numbers[:5])
    served = load_predictor(tmp_path, document)
    rows = np.full((2, numbers.shape[1]), 1e4)
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="infinity"):
        served.predict(rows)
    np.testing.assert_array_equal(served.predict(numbers[:3]), model.predict(numbers[:3]))


def test_a_classifier_without_probabilities_answers_the_index_of_the_class(numbers: np.ndarray, tmp_path: Path) -> None:
    names = np.where(numbers[:, 0] > 0, "yes", "no")
    document = saved(SVC().fit(numbers, names), tmp_path, numbers[:5])
    output = document.signature.outputs[0]
    assert (output.type, output.categories, document.method) == ("string", ("no", "yes"), "predict")
    answers = load_predictor(tmp_path, document).predict(np.array([[3.0, 0, 0, 0], [-3.0, 0, 0, 0]]))
    assert [output.categories[int(answer)] for answer in answers] == ["yes", "no"]


def test_mlflow_loads_the_folder_and_answers_the_same(
    flights: pd.DataFrame, late: np.ndarray, numbers: np.ndarray, positive: np.ndarray, tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow.pyfunc")
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=10, random_state=0).fit(flights, late)
    saved(boosting, tmp_path / "frame", flights.head(7))
    loaded = mlflow.load_model(str(tmp_path / "frame"))
    assert loaded.predict(as_texts(flights)) == pytest.approx(boosting.predict_proba(flights), abs=0)
    assert list(loaded.input_example.columns) == list(flights.columns)
    assert len(loaded.input_example) == 5
    assert loaded.metadata.signature.inputs.input_names() == list(flights.columns)

    forest = RandomForestRegressor(5, random_state=0).fit(numbers, positive)
    saved(forest, tmp_path / "array", numbers[:7])
    loaded = mlflow.load_model(str(tmp_path / "array"))
    assert loaded.predict(numbers) == pytest.approx(forest.predict(numbers), abs=0)
    assert loaded.input_example == pytest.approx(numbers[:5])


def test_the_serving_example_is_a_request_body(flights: pd.DataFrame, late: np.ndarray, tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=3, random_state=0).fit(flights, late)
    saved(model, tmp_path, flights)
    body = json.loads((tmp_path / "serving_input_example.json").read_text())["dataframe_split"]
    assert body["columns"] == list(flights.columns)
    assert len(body["data"]) == 5
    assert all(value is None or value == value for row in body["data"] for value in row)


def test_whole_number_categories_with_missing_values_compile(late: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    gate = pd.Categorical.from_codes(np.where(rng.random(ROWS) < 0.1, -1, rng.integers(0, 3, ROWS)), [30, 10, 20])
    frame = pd.DataFrame({"gate": gate, "wind": rng.normal(size=ROWS)})
    label = ((frame.gate == 10) ^ (frame.wind > 0.5)).astype(int)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=10, random_state=0).fit(frame, label)
    document = saved(model, tmp_path, frame.head(5))
    compiled = load_predictor(tmp_path, document)
    assert document.signature.inputs[0].categories == ("30", "10", "20")
    assert compiled.engine == "treelite"
    assert compiled.predict(rows_of(frame, document)) == pytest.approx(model.predict_proba(frame)[:, 1], abs=1e-12)


def test_the_best_of_a_search_compiles(numbers: np.ndarray, positive: np.ndarray, tmp_path: Path) -> None:
    model = GridSearchCV(HistGradientBoostingClassifier(max_iter=2), {"max_depth": [2, 3]}, cv=2).fit(numbers, positive)
    document = saved(model, tmp_path, numbers[:5])
    compiled = load_predictor(tmp_path, document)
    assert compiled.engine == "treelite"
    assert compiled.predict(numbers) == pytest.approx(model.predict_proba(numbers)[:, 1], abs=1e-12)


def test_several_regression_targets_give_one_column_each(numbers: np.ndarray, tmp_path: Path) -> None:
    targets = numbers[:, :2] * 3 + 1
    model = LinearRegression().fit(numbers, targets)
    document = saved(model, tmp_path, numbers[:5])
    assert [output.name for output in document.signature.outputs] == ["prediction_0", "prediction_1"]
    compiled = load_predictor(tmp_path, document)
    assert compiled.engine == "linear"
    assert compiled.predict(numbers) == pytest.approx(model.predict(numbers), abs=1e-9)


def test_many_threads_get_the_answers_of_one(numbers: np.ndarray, positive: np.ndarray, tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(numbers, positive)
    predictor = load_predictor(tmp_path, saved(model, tmp_path, numbers[:5]))
    expected = predictor.predict(numbers)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda at: predictor.predict(numbers[at : at + 1])[0], range(ROWS)))
    assert answers == expected.tolist()


def test_unseen_values_cannot_be_missing_where_the_model_takes_none(
    flights: pd.DataFrame, late: np.ndarray, tmp_path: Path
) -> None:
    frame = flights[["origin", "hour"]]
    encoder = make_column_transformer((OneHotEncoder(), ["origin"]), remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(frame, late)
    with pytest.raises(UnusableExample, match="takes missing values in 'origin'; this one does not"):
        save_model(model, tmp_path, example=frame.head(), unseen={"origin": "missing"})
