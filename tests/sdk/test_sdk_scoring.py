"""Metrics by numpy are those of scikit-learn, and their intervals are fair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tilth.sdk import scoring


def points(metrics, rows):
    return {name: float(metric(np.ones((1, rows)))[0]) for name, metric in metrics.items()}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(4, 80), st.integers(1, 12))
def test_two_classes_are_measured_as_scikit_learn_does(seed, rows, levels):
    draw = np.random.default_rng(seed)
    target = np.r_[0, 1, draw.integers(0, 2, rows - 2)]
    # Few levels make many ties, which count half.
    score = draw.integers(0, levels + 1, rows) / (levels + 1)
    found = points(scoring.classification(target, np.column_stack([1 - score, score])), rows)
    said = (score > 0.5).astype(int)
    assert found["auc"] == pytest.approx(reference.roc_auc_score(target, score))
    assert found["brier"] == pytest.approx(reference.brier_score_loss(target, score))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(target, said))
    for name in ("f1", "precision", "recall"):
        wanted = getattr(reference, f"{name}_score")(target, said, zero_division=0)
        assert found[name] == pytest.approx(wanted)


def test_several_classes_are_measured_as_scikit_learn_does():
    draw = np.random.default_rng(1)
    target = draw.integers(0, 3, 300)
    scores = draw.dirichlet([1, 1, 1], 300)
    scores[np.arange(300), target] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    found = points(scoring.classification(target, scores), 300)
    said = scores.argmax(axis=1)
    assert found["log_loss"] == pytest.approx(reference.log_loss(target, scores))
    assert found["auc"] == pytest.approx(reference.roc_auc_score(target, scores, multi_class="ovr"))
    assert found["f1"] == pytest.approx(reference.f1_score(target, said, average="macro"))
    assert found["recall"] == pytest.approx(reference.recall_score(target, said, average="macro"))


def test_numbers_are_measured_as_scikit_learn_does():
    draw = np.random.default_rng(2)
    target = draw.normal(5, 2, 200)
    said = target + draw.normal(0, 1, 200)
    found = points(scoring.regression(target, said), 200)
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(target, said))
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(target, said))
    assert found["r2"] == pytest.approx(reference.r2_score(target, said))
    assert found["mape"] == pytest.approx(reference.mean_absolute_percentage_error(target, said))


def builder(hits):
    return lambda places: {"accuracy": scoring.mean_of(hits if places is None else hits[places])}


@pytest.mark.parametrize("rows", [1_000, 80_000])
def test_the_interval_of_a_share_is_as_wide_as_theory_says(rows):
    hits = (np.random.default_rng(3).random(rows) < 0.7).astype(float)
    found = scoring.measured(builder(hits), rows, resamples=600)["accuracy"]
    half = 1.96 * np.sqrt(0.21 / rows)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.2)
    assert found.low < found.value < found.high


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    hits = (np.random.default_rng(4).random(500) < 0.7).astype(float)
    first = scoring.measured(builder(hits), 500, resamples=100, seed=1)
    assert scoring.measured(builder(hits), 500, resamples=100, seed=1) == first
    assert scoring.measured(builder(hits), 500, resamples=100, seed=2) != first


def test_a_paired_difference_is_surer_than_two_intervals_side_by_side():
    draw = np.random.default_rng(5)
    hard = draw.random(2_000)
    ours, theirs = (hard < 0.72).astype(float), (hard < 0.70).astype(float)
    pair = scoring.paired(builder(ours), builder(theirs), 2_000, resamples=400)["accuracy"]
    single = scoring.measured(builder(ours), 2_000, resamples=400)["accuracy"]
    assert pair.value == pytest.approx(ours.mean() - theirs.mean())
    assert pair.low > 0
    assert pair.high - pair.low < (single.high - single.low) / 2


def test_what_the_rows_do_not_define_is_left_out():
    target = np.zeros(50, dtype=np.int64)
    scores = np.column_stack([np.full(50, 0.6), np.full(50, 0.4)])

    def build(places):
        return scoring.classification(target if places is None else target[places], scores if places is None else scores[places])

    found = scoring.measured(build, 50, resamples=50)
    assert "auc" not in found
    assert found["accuracy"].value == 1.0
