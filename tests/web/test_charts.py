import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.web import charts
from tilth.wire.plane import LATENCY_BOUNDS_US

values = st.lists(st.floats(width=32), max_size=40)


def parse(markup):
    assert "style=" not in markup
    assert "nan" not in markup.lower().replace("nan</title>", "")
    return ElementTree.fromstring(markup)


@given(values)
def test_any_metric_can_be_drawn(ys):
    parse(charts.curves([charts.Series("loss", list(enumerate(ys)))], "loss"))


def test_a_value_that_is_not_a_number_breaks_the_line():
    tree = parse(charts.curves([charts.Series("loss", list(enumerate([1.0, 2.0, math.nan, 3.0, 4.0])))], "loss"))
    (line,) = tree.iterfind(".//{*}path[@class='curve-line s1']")
    assert line.get("d").count("M") == 2


def test_labels_from_outside_are_escaped():
    drawn = charts.curves([charts.Series("<script>", [(0, 1), (1, 2)])], 'a"b')
    assert "<script>" not in drawn
    assert parse(drawn).get("aria-label") == 'a"b'


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e12), st.integers(2, 8))
def test_ticks_are_few_and_lie_inside(low, span, wanted):
    ticks = charts.nice_ticks(low, low + span, wanted)
    assert len(ticks) <= 2.6 * wanted + 1
    assert all(low - span * 1e-6 - 1e-9 <= tick <= low + span * (1 + 1e-6) + 1e-9 for tick in ticks)


def test_ticks_are_round_numbers():
    assert charts.nice_ticks(0, 200) == [0, 50, 100, 150, 200]
    assert charts.nice_ticks(0.55, 0.93) == pytest.approx([0.6, 0.7, 0.8, 0.9])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
def test_thinning_keeps_the_extremes(ys):
    thinned = [y for _, y in charts.thin(list(enumerate(ys)), 100)]
    assert len(thinned) <= 102
    assert (min(thinned), max(thinned)) == (min(ys), max(ys))


def test_names_of_lines_that_lie_close_stand_below_each_other():
    counts = [0] * (len(LATENCY_BOUNDS_US) + 1)
    counts[40] = 5
    tree = parse(charts.latency_bars(counts, LATENCY_BOUNDS_US, 20_000, {"p50": 18_000, "p95": 19_000, "p99": 21_000}))
    places = {node.text: float(node.get("y")) for node in tree if node.tag == "text" and node.text.startswith(("p", "budget"))}
    assert len(set(places.values())) == 4
    assert max(float(node.get("x")) + 60 for node in tree if node.text and node.text.startswith(("p", "b"))) < 640


def test_requests_above_the_budget_are_drawn_as_such():
    counts = [0] * (len(LATENCY_BOUNDS_US) + 1)
    fast = next(i for i, bound in enumerate(LATENCY_BOUNDS_US) if bound > 900)
    slow = next(i for i, bound in enumerate(LATENCY_BOUNDS_US) if bound > 40_000)
    counts[fast], counts[slow] = 990, 10
    tree = parse(charts.latency_bars(counts, LATENCY_BOUNDS_US, 20_000, {"p50": 900, "p99": 41_000}))
    bars = [node.get("class") for node in tree if node.tag == "rect"]
    assert bars == ["bar", "bar over"]
    assert {"p50 900 µs", "p99 41 ms", "budget 20 ms"} <= {node.text for node in tree if node.tag == "text"}


def test_an_idle_deployment_can_be_drawn():
    parse(charts.latency_bars([0] * (len(LATENCY_BOUNDS_US) + 1), LATENCY_BOUNDS_US, 20_000, {}))


def test_a_calibration_curve_has_one_dot_per_bin():
    tree = parse(charts.calibration_curve([0.1, 0.5, 0.9], [0.12, 0.45, 0.93], [1000, 200, 50]))
    assert sum(node.tag == "circle" for node in tree) == 3
    parse(charts.bars([1, 2], ["a", "<b>"], "kinds"))
