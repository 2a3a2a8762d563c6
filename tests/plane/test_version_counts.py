"""What workers count of each version: statuses, latencies and a histogram of scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.plane.counting import VersionCounts
from tilth.wire.scores import score_bucket


def counted(outputs: Any, rows: int) -> tuple[dict[int, int], int]:
    counts = VersionCounts(3)
    counts.note(outputs, rows)
    tally = counts.present("m/1")
    assert tally.rows == rows
    return tally.scores, tally.missing_scores


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_a_batch_is_counted_as_its_rows_are(scores: list[float]) -> None:
    alone = VersionCounts(1)
    for score in scores:
        alone.note(np.array([score]), 1)
    together, one_column = VersionCounts(1), VersionCounts(1)
    together.note(np.array(scores), len(scores))
    one_column.note(np.array(scores).reshape(-1, 1), len(scores))
    assert alone.present("m/1") == together.present("m/1") == one_column.present("m/1")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=10), st.lists(st.floats(), max_size=10))
def test_what_was_noted_aside_counts_the_same(first: list[float], then: list[float]) -> None:
    here, aside = VersionCounts(1), VersionCounts(1)
    for scores in (first, then):
        here.note(np.array(scores), len(scores))
        noted = VersionCounts(0)
        noted.note(np.array(scores), len(scores))
        aside.take_in(noted)
    assert here.present("m/1") == aside.present("m/1")


def test_of_several_outputs_the_greatest_is_the_score() -> None:
    table = np.array([[0.1, 0.7, 0.2], [0.9, 0.05, 0.05], [np.nan, 0.5, 0.5]])
    assert counted(table, 3) == ({score_bucket(1.0): 1, score_bucket(0.0): 1}, 1)
    assert counted(table[:1], 1) == ({score_bucket(1.0): 1}, 0)


@pytest.mark.parametrize(
    ("arrays", "scores"),
    [
        ({"text": np.array(["a", "b"], object), "p": np.array([0.5, 0.5])}, {score_bucket(0.5): 2}),
        ({"logits": np.array([[0.0, 3.0], [4.0, 1.0]], np.float32), "p": np.array([[7], [7]])}, {score_bucket(7): 2}),
        ({"logits": np.array([[0.0, 3.0], [4.0, 1.0]], np.float32)}, {score_bucket(1): 1, score_bucket(0): 1}),
        ({"picture": np.zeros((2, 3, 3))}, {}),
    ],
)
def test_named_arrays_are_counted_by_the_first_that_says_one_thing_of_each_row(arrays: Any, scores: dict[int, int]) -> None:
    assert counted(arrays, 2) == (scores, 0 if scores else 2)


def test_an_answer_without_rows_counts_no_score() -> None:
    assert counted(np.empty(0), 0) == ({}, 0)


def test_the_callers_mistakes_are_told_from_ours() -> None:
    counts = VersionCounts(2)
    for status in (200, 400, 413, 500, 503, 504):
        counts.answered(status, 1)
    tally = counts.present("m/1")
    assert (tally.requests, tally.refused, tally.errors, tally.latency_buckets) == (6, 2, 3, (0, 6))
