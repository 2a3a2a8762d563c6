from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tilth.web.interval_charts import Interval, interval_bar, interval_columns, span_of, worth_bar

numbers = st.floats(-1e9, 1e9)
intervals = st.builds(
    lambda a, b, c: Interval("<auc>", *sorted((a, b, c))[1:2], min(a, b, c), max(a, b, c)), numbers, numbers, numbers
)


@given(st.lists(intervals, min_size=1, max_size=20), numbers)
def test_any_intervals_can_be_drawn_and_their_labels_are_escaped(found, limit):
    for markup in (interval_columns(found, "auc", limit=limit), interval_bar(found[0], span_of(found, limit), limit=limit)):
        assert "style=" not in markup
        assert "<auc>" not in markup
        ElementTree.fromstring(markup)


def test_a_bar_says_its_value_and_interval():
    drawn = interval_bar(Interval("auc", 0.71, 0.7, 0.72), (0.6, 0.8))
    assert "auc: 0.7100, 95 % interval 0.7000 to 0.7200" in drawn


@given(intervals)
def test_what_an_input_is_worth_can_be_drawn_whatever_it_is(found):
    low, high = (min(*found.bounds, 0.0), max(*found.bounds, 0.0))
    markup = worth_bar(found, (low, high))
    assert "<auc>" not in markup
    ElementTree.fromstring(markup)
