import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.web import formatting as f


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9722, "0.9722"),
        (0.5, "0.5000"),
        (1204, "1,204"),
        (7.0, "7"),
        (-3, "−3"),
        (6.4321, "6.432"),
        (123.456, "123.5"),
        (0.0035, "0.0035"),
        (1.2e-9, "1.20e-09"),
        (float("nan"), "NaN"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (None, "–"),
        (True, "true"),
    ],
)
def test_numbers_read_at_four_significant_digits(value, shown):
    assert f.number(value) == shown


@given(st.floats(-1e300, 1e300))
def test_a_shown_number_is_within_a_thousandth_of_the_number(value):
    shown = float(f.number(value).replace(",", "").replace("−", "-"))
    assert math.isclose(shown, value, rel_tol=6e-3, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(0, "0 ms"), (850, "850 ms"), (4200, "4.2 s"), (59_990, "1m 00s"), (827_000, "13m 47s"), (7_500_000, "2h 05m"), (None, "–")],
)  # fmt: skip
def test_spans_read_in_the_two_largest_units(ms, shown):
    assert f.duration(ms) == shown


@pytest.mark.parametrize(("us", "shown"), [(850, "850 µs"), (6400, "6.4 ms"), (1_200_000, "1.2 s"), (None, "–")])
def test_latencies_change_unit_at_a_thousand(us, shown):
    assert f.latency(us) == shown


@pytest.mark.parametrize(
    ("ago_s", "shown"),
    [(0, "now"), (40, "40s ago"), (200, "3m ago"), (7300, "2h ago"), (5 * 86_400, "5d ago"), (-3 * 86_400, "in 3d")],
)
def test_ages_read_in_one_unit(ago_s, shown):
    now = 1_700_000_000_000
    assert f.age(now - ago_s * 1000, now) == shown


def test_an_age_beyond_two_months_is_a_date():
    assert f.age(1_357_016_400_000, 1_700_000_000_000) == "2013-01-01"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (999_600, "1.0 MB"), (4_400_000, "4.4 MB"), (345_000_000, "345 MB")],
)
def test_bytes_read_in_decimal_units(value, shown):
    assert f.size(value) == shown


def test_a_page_says_how_much_it_leaves_out():
    assert f.of_total(100, 1204) == "100 of 1,204"
    assert f.of_total(7, 7) == "7"
    assert f.of_total(100, 10_000, cap=10_000) == "100 of 10,000+"


@given(st.floats(), st.floats(-10, 10), st.floats(0, 10))
def test_a_bar_width_is_always_one_of_the_classes_of_the_sheet(value, low, span):
    assert f.bar_width(value, low, low + span) in range(0, 101, 5)


def test_the_best_value_fills_its_cell_and_the_worst_shows_a_stub():
    assert [f.bar_width(v, 0.7, 0.9) for v in (0.7, 0.8, 0.9)] == [10, 55, 100]
    assert f.bar_width(math.nan, 0, 1) == 0


def test_details_of_an_audit_event_read_as_one_line():
    assert f.in_words({"to": 2, "from": None, "scopes": ["read", "write"], "note": ""}) == "scopes read, write · to 2"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("33.205156318989815", "33.21"),
        ("-0.06666666666666", "-0.06667"),
        ("4.9999999999e-07", "5e-07"),
        ("1234567.123456", "1234567"),
        ("0.1", "0.1"),
        ("20131231", "20131231"),
        ("1.0.0-beta.2026", "1.0.0-beta.2026"),
        ("0123456789abcdef", "0123456789abcdef"),
    ],
)
def test_a_param_is_cut_to_four_digits_only_where_it_is_a_long_fraction(given, shown):
    assert f.setting(given) == shown


def test_a_correlation_always_has_a_sign():
    assert [f.correlation(value) for value in (0.94, -0.012)] == ["+0.94", "−0.01"]


def test_a_sentence_begins_with_a_capital_unless_it_begins_with_a_name():
    assert f.sentence("no run fits") == "No run fits."
    assert f.sentence("fare@champion does not move") == "fare@champion does not move."
    assert f.sentence("say `webhook.read`!") == "Say <code>webhook.read</code>!"
