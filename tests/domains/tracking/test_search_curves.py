"""Long curves: read in chunks, thinned as if they were all at hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.rules.curves import Point, thinned, thinned_stream
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate

values = st.one_of(st.none(), st.floats(allow_nan=False))


@given(st.lists(values, max_size=60), st.integers(4, 20), st.lists(st.integers(0, 60), max_size=5))
def test_chunks_thin_to_the_same_points_as_the_whole(numbers: list[float | None], most: int, cuts: list[int]) -> None:
    points: list[Point] = [(step, step, value) for step, value in enumerate(numbers)]
    places = sorted({0, len(points), *(min(cut, len(points)) for cut in cuts)})
    chunks = [points[a:b] for a, b in pairwise(places)]
    whole = thinned(points, most)
    assert thinned_stream(chunks, len(points), most) == whole
    assert len(whole) <= most
    assert whole == sorted(whole, key=lambda point: point[0])
    if points:
        assert (whole[0], whole[-1]) == (points[0], points[-1])
        known = [value for value in numbers if value is not None]
        kept = [value for _, _, value in whole if value is not None]
        assert (min(known, default=None), max(known, default=None)) == (min(kept, default=None), max(kept, default=None))


@pytest.fixture
def curve(either_db: Database) -> Callable[..., list[tuple[int, int, object]]]:
    """A run of 5,000 points on 100 steps, one spike and one NaN; asks for its curve."""
    project = ProjectId("5" * 32)
    anna = Actor(id="a" * 32, name="anna", kind="user", via="token:1")
    run_id = either_db.write_blocking(lambda tx: actions.create_run(tx, anna, project, RunCreate()))
    points = [MetricPoint("loss", math.sin(n / 100), step=n // 50, ts=n) for n in range(5000)]
    points[1234] = MetricPoint("loss", 99.0, step=1234 // 50, ts=1234)
    points[2000] = MetricPoint("loss", "NaN", step=2000 // 50, ts=2000)
    for start in range(0, 5000, 1000):
        batch = LogBatch(metrics=points[start : start + 1000])
        either_db.write_blocking(lambda tx, batch=batch: actions.log(tx, project, run_id, batch, 1))  # type: ignore[misc]

    def ask(most: int, **bounds: int) -> list[tuple[int, int, object]]:
        found = either_db.read_blocking(lambda tx: queries.metric_histories(tx, project, run_id, ["loss"], most=most, **bounds))
        return [tuple(point) for point in found["loss"].points]  # type: ignore[misc]

    return ask


def test_a_spike_is_kept_however_few_points_are_asked_for(curve: Callable[..., list[tuple[int, int, object]]]) -> None:
    drawn = curve(20)
    assert (1234 // 50, 1234, 99.0) in drawn
    assert len(drawn) <= 20
    assert (drawn[0][1], drawn[-1][1]) == (0, 4999)


def test_a_part_of_a_curve_lies_between_its_steps(curve: Callable[..., list[tuple[int, int, object]]]) -> None:
    assert {step for step, _, _ in curve(2000, after_step=10, until_step=20)} == set(range(11, 21))
    assert len(curve(2000, after_step=10, until_step=20)) == 500


def test_nan_is_told_where_every_point_is_shown(curve: Callable[..., list[tuple[int, int, object]]]) -> None:
    assert (2000 // 50, 2000, "NaN") in curve(2000, after_step=39, until_step=40)
