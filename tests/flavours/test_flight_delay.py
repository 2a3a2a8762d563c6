"""The example's data and training, on the real files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from examples.flight_delay import data, features, training
from sklearn.ensemble import HistGradientBoostingClassifier

from tilth.flavours import flavour_for, load_predictor, save_model

DEMO_MONTHS = ("2013-01-01", "2013-03-31")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return data.flights_with_weather()


@pytest.fixture(scope="module")
def quarter(flights: pd.DataFrame) -> pd.DataFrame:
    return data.between(flights, *DEMO_MONTHS)


@pytest.fixture(scope="module")
def split(quarter: pd.DataFrame) -> training.Split:
    return training.split_by_day(quarter)


@pytest.fixture(scope="module")
def fitted(split: training.Split) -> training.Fitted:
    return training.train(split)


def test_every_flight_is_there_once_with_the_weather_of_its_hour(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert flights["temp"].isna().sum() == 1_573
    assert flights[list(data.WEATHER_TYPES)[:9]].isna().all(axis=1).sum() == 1_556
    first = flights[(flights.origin == "JFK") & (flights.time_hour == pd.Timestamp("2013-01-01T15:00Z"))].iloc[0]
    assert (first.hour, first.temp, first.wind_speed) == (10, 41.0, 16.11092)


def test_the_repeated_hour_of_november_joins_no_flight_twice(flights: pd.DataFrame) -> None:
    assert len(data.between(flights, "2013-11-03", "2013-11-03")) == 902


def test_flights_that_never_arrived_have_no_label(flights: pd.DataFrame) -> None:
    late = data.is_late(flights)
    assert late.isna().sum() == 9_430
    assert late[flights.arr_delay == 15].tolist() == [False] * int((flights.arr_delay == 15).sum())
    assert late[flights.arr_delay == 16].all()


def test_features_hold_nothing_that_is_known_only_after_departure(quarter: pd.DataFrame) -> None:
    frame = features.features(quarter, features.vocabularies(quarter))
    assert tuple(frame.columns) == features.FEATURES
    assert not {"dep_delay", "dep_time", "arr_time", "air_time", "arr_delay"} & set(frame.columns)
    monday = frame.day_of_week[quarter.date == pd.Timestamp("2013-01-07")]
    assert set(monday) == {0}


def test_a_destination_that_training_did_not_know_is_missing(quarter: pd.DataFrame) -> None:
    known = {**features.vocabularies(quarter), "dest": ["ATL"]}
    frame = features.features(quarter, known)
    assert frame.dest.isna().sum() == (quarter.dest != "ATL").sum()


def test_no_day_is_on_both_sides_of_the_split(quarter: pd.DataFrame, split: training.Split) -> None:
    assert len(split.validation_days) == 18
    arrived = quarter[quarter.arr_delay.notna()]
    held_out = arrived.date.astype(str).str[:10].isin(split.validation_days)
    assert (len(split.X), len(split.X_validation)) == ((~held_out).sum(), held_out.sum())


def test_training_learns_stops_early_and_repeats_itself(split: training.Split, fitted: training.Fitted) -> None:
    assert 0.68 < fitted.metrics["auc"] < 0.75
    assert fitted.metrics["brier"] < split.y_validation.mean() * (1 - split.y_validation.mean())
    assert len(fitted.train_loss) == len(fitted.validation_loss) < training.PARAMS["max_iter"]
    assert fitted.validation_loss[-1] < fitted.validation_loss[0]
    again = training.train(split, {**training.PARAMS, "max_iter": 10})
    assert again.validation_loss == pytest.approx(fitted.validation_loss[:11], abs=1e-12)


def test_days_drawn_at_random_would_flatter_the_model(split: training.Split, fitted: training.Fitted) -> None:
    inputs, late = pd.concat([split.X, split.X_validation]), np.concatenate([split.y, split.y_validation])
    held_out = np.random.default_rng(0).random(len(inputs)) < training.VALIDATION_SHARE
    mixed = training.Split(inputs[~held_out], late[~held_out], inputs[held_out], late[held_out], split.known, ())
    few = {**training.PARAMS, "max_iter": 80}
    assert training.train(mixed, few).metrics["auc"] > fitted.metrics["auc"] + 0.02


def test_the_calibration_figure_shows_ten_groups(split: training.Split, fitted: training.Fitted, tmp_path: Path) -> None:
    figure = training.calibration_figure(split.y_validation, fitted.probabilities)
    _perfect, ours = figure.axes[0].lines
    assert len(ours.get_xdata()) == 10
    figure.savefig(tmp_path / "calibration.png")
    assert (tmp_path / "calibration.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_compiles_and_answers_april_as_scikit_learn_does(
    flights: pd.DataFrame, split: training.Split, fitted: training.Fitted, tmp_path: Path
) -> None:
    document = save_model(fitted.model, tmp_path, example=split.X.head(5), unseen={"dest": "missing"})
    april = features.features(data.between(flights, "2013-04-01", "2013-04-07"), split.known)
    compiled = load_predictor(tmp_path, document)
    assert compiled.engine == "treelite"
    rows = flavour_for(fitted.model).encode(april, document.signature)
    assert compiled.predict(rows) == pytest.approx(fitted.model.predict_proba(april)[:, 1], abs=1e-9)
    assert isinstance(fitted.model, HistGradientBoostingClassifier)
    assert msgspec.json.encode(document)
