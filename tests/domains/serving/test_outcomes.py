"""Metrics of labelled predictions beside scikit-learn, statsmodels and resampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from tilth.domains.serving.rules.outcomes import (
    Estimate,
    Floats,
    Kind,
    LabelTally,
    kind_of,
    outcomes,
    places_of,
    proportion,
    tally_of,
)


def drawn(rows: int, seed: int = 1) -> tuple[Floats, Floats]:
    """Probabilities and what came true of them."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 3, rows).round(3)
    return scores, (rng.random(rows) < scores).astype(np.float64)


def measured(scores: Floats, labels: Floats, kind: Kind | None = None) -> dict[str, Estimate]:
    return outcomes(tally_of(scores, labels, exact=True), kind)


def test_metrics_of_probabilities_are_those_of_scikit_learn() -> None:
    scores, labels = drawn(3000)
    found = measured(scores, labels)
    assert found["auc"].value == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(labels, scores), abs=1e-12)
    assert found["brier"].value == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-12)
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(labels, scores > 0.5), abs=1e-12)


def test_metrics_of_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    labels = rng.normal(size=500)
    scores = labels + rng.normal(size=500)
    found = measured(scores, labels)
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(labels, scores))
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(labels, scores))


@pytest.mark.parametrize("name", ["auc", "log_loss", "brier", "accuracy"])
def test_standard_errors_of_probabilities_are_those_that_resampling_finds(name: str) -> None:
    scores, labels = drawn(1500)
    rng = np.random.default_rng(3)
    resampled = []
    for _ in range(400):
        rows = rng.integers(0, len(labels), len(labels))
        resampled.append(measured(scores[rows], labels[rows], "probability")[name].value)
    assert measured(scores, labels)[name].error == pytest.approx(np.std(resampled), rel=0.15)


def test_the_standard_error_of_a_root_mean_square_is_the_one_that_resampling_finds() -> None:
    rng = np.random.default_rng(4)
    errors = rng.standard_t(8, 1500)
    resampled = [math.sqrt(np.mean(rng.choice(errors, len(errors)) ** 2)) for _ in range(500)]
    assert measured(errors, np.zeros(len(errors)), "number")["rmse"].error == pytest.approx(np.std(resampled), rel=0.15)


@given(rows=st.integers(1, 500), data=st.data())
def test_the_interval_of_a_share_is_wilsons(rows: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    low, high = proportion_confint(hits, rows, method="wilson")
    found = proportion(hits, rows)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.data())
def test_an_auc_and_its_mirror_image_add_up_to_one(data: st.DataObject) -> None:
    size = data.draw(st.integers(4, 40))
    scores = data.draw(arrays(np.float64, size, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])))
    labels = data.draw(arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0])))
    one, other = (measured(each, labels, "probability").get("auc") for each in (scores, 1 - scores))
    if one is None or other is None:
        assert min(labels.sum(), (1 - labels).sum()) < 2
        return
    assert one.value + other.value == pytest.approx(1)
    assert one.error == pytest.approx(other.error)
    assert 0 <= one.low <= one.value <= one.high <= 1


@pytest.mark.parametrize(
    ("scores", "labels", "kind"),
    [
        ([0.2, 0.9], [0, 1], "probability"),
        ([0, 1, 1], [0, 1, 0], "class"),
        ([0, 2, 1], [0, 1, 2], "class"),
        ([0.5, 2, 1], [0, 1, 2], "number"),
        ([3.0, -1.0], [1, 0], "number"),
        ([], [], "number"),
    ],
)
def test_labels_say_what_is_measured(scores: list[float], labels: list[float], kind: str) -> None:
    assert kind_of(tally_of(np.array(scores, dtype=np.float64), np.array(labels, dtype=np.float64))) == kind


def test_one_row_or_one_class_has_no_metric_that_needs_two() -> None:
    assert measured(np.array([0.4]), np.array([1.0])) == {}
    assert "auc" not in measured(np.array([0.4, 0.6, 0.3]), np.array([1.0, 1.0, 1.0]))


NUMBERS = st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, 0.5, 1e-13, 1 - 1e-13, -1e-300, 1e300, -1e300, 2.0]), st.floats(0, 1)
)
LABELLED = st.lists(st.tuples(NUMBERS, st.one_of(st.sampled_from([0.0, 1.0, 2.0]), NUMBERS)), max_size=30)


def tally(rows: list[tuple[float, float]]) -> LabelTally:
    both = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return tally_of(both[:, 0], both[:, 1])


@given(LABELLED, LABELLED, LABELLED)
def test_rows_that_are_added_and_taken_away_leave_the_same_as_the_others_alone(
    first: list[tuple[float, float]], gone: list[tuple[float, float]], last: list[tuple[float, float]]
) -> None:
    found = tally(first).plus(tally(gone)).plus(tally(last)).plus(tally(gone), -1)
    wanted = tally([*first, *last])
    for name in LabelTally.__struct_fields__:
        value = getattr(wanted, name)
        if isinstance(value, float):
            most = max(getattr(each, name) for each in (wanted, tally(gone)))
            assert getattr(found, name) == pytest.approx(value, rel=1e-9, abs=1e-9 * max(1.0, most))
        else:
            assert getattr(found, name) == value


@given(st.lists(NUMBERS, min_size=2, max_size=50))
def test_places_never_fall_while_scores_rise(scores: list[float]) -> None:
    places = places_of(np.array(sorted(scores)))
    assert (np.diff(places) >= 0).all()


@pytest.mark.parametrize("power", [1, 8])
def test_an_auc_by_places_is_that_of_the_scores(power: int) -> None:
    rng = np.random.default_rng(7)
    scores = rng.beta(2, 3, 20_000) ** power
    labels = (rng.random(20_000) < scores).astype(np.float64)
    for each in (scores, 1 - scores):
        found, wanted = outcomes(tally_of(each, labels))["auc"], measured(each, labels)["auc"]
        assert found.value == pytest.approx(wanted.value, abs=1e-3)
        assert found.error == pytest.approx(wanted.error, rel=0.01)
