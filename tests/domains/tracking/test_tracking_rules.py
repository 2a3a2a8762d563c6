"""The pure rules of tracking."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.names import InvalidName
from tilth.domains.tracking.rules.batches import check_batch, fold_latest
from tilth.domains.tracking.rules.curves import thinned
from tilth.domains.tracking.rules.filters import Condition, Order, parse_filter, parse_order
from tilth.domains.tracking.rules.names import invented_name
from tilth.domains.tracking.types import BatchTooLarge, InvalidBatch, InvalidOrder, InvalidRunFilter, ValueTooLong
from tilth.wire.tracking import DatasetInput, LogBatch, MetricPoint


def test_terms_stand_side_by_side_and_a_bare_word_is_looked_for_in_the_name() -> None:
    assert parse_filter('auc>0.7 params.depth=7 and status=FAILED tags.team~"a b" maple') == (
        Condition("any", "auc", ">", "0.7", 0.7),
        Condition("param", "depth", "=", "7", 7.0),
        Condition("attribute", "status", "=", "failed"),
        Condition("tag", "team", "~", "a b"),
        Condition("attribute", "name", "~", "maple"),
    )


@pytest.mark.parametrize(
    ("text", "entity", "key", "operator", "value"),
    [
        ("metrics.`val loss` <= 1e-3", "metric", "val loss", "<=", "1e-3"),
        ('metrics."val/loss"!=2', "metric", "val/loss", "!=", "2"),
        ("system/cpu_percent>50", "any", "system/cpu_percent", ">", "50"),
        ("model.depth == 3", "any", "model.depth", "=", "3"),
        ("params.note='it'", "param", "note", "=", "it"),
        ('tags.x="a \\"b\\""', "tag", "x", "=", 'a "b"'),
        ("parameters.opt!~adam", "param", "opt", "!~", "adam"),
        ("metrics.loss<inf", "metric", "loss", "<", "inf"),
        ("user=anna", "attribute", "user_name", "=", "anna"),
    ],
)
def test_a_term_is_entity_key_operator_value(text: str, entity: str, key: str, operator: str, value: str) -> None:
    (term,) = parse_filter(text)
    assert (term.entity, term.key, term.operator, term.text) == (entity, key, operator, value)


def test_moments_may_be_written_as_dates() -> None:
    (term,) = parse_filter("start_time>=2013-01-01")
    assert term.number == 1356998400000


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("auc>", 4, "a value is missing"),
        ("maple auc>0.7 or x=1", 14, "`or` is not part"),
        ("(auc>1)", 0, "parentheses"),
        ("auc>high", 4, "not a number"),
        ("status=done", 7, "no status 'done'"),
        ("tags.team>3", 0, "compares numbers"),
        ("metrics.auc~3", 0, "searches text"),
        ("attributes.colour=red", 0, "no attribute 'colour'"),
        ("=3", 0, "cannot stand here"),
        ("start_time>noon", 11, "not a number or a date"),
    ],
)
def test_a_filter_that_makes_no_sense_says_where(text: str, position: int, reason: str) -> None:
    with pytest.raises(InvalidRunFilter, match=reason) as refused:
        parse_filter(text)
    assert refused.value.position == position
    assert f"character {position + 1}" in str(refused.value)


def test_a_filter_is_bounded() -> None:
    with pytest.raises(InvalidRunFilter, match="more than 20 terms"):
        parse_filter("a=1 " * 21)
    with pytest.raises(InvalidRunFilter, match="longer than 2000"):
        parse_filter("x" * 2001)


@given(st.text(max_size=60) | st.text(alphabet="abm.=<>!~\"'` ()0-and", max_size=40))
def test_any_text_is_a_filter_or_is_refused_with_a_position(text: str) -> None:
    position = 0
    try:
        parse_filter(text)
    except InvalidRunFilter as refused:
        position = refused.position
    assert 0 <= position <= len(text)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", Order("attribute", "started", True)),
        ("start_time", Order("attribute", "started", False)),
        ("metrics.auc desc", Order("metric", "auc", True)),
        ("auc DESC", Order("metric", "auc", True)),
        ("params.`max depth` asc", Order("param", "max depth", False)),
        ("attributes.duration desc", Order("attribute", "duration", True)),
    ],
)
def test_orders_are_read(text: str, order: Order) -> None:
    assert parse_order(text) == order


@pytest.mark.parametrize("text", ["metrics.", "attributes.colour desc", "desc" * 100])
def test_an_order_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InvalidOrder):
        parse_order(text)


def test_an_invented_name_has_two_words_and_a_number_and_follows_the_id() -> None:
    name = invented_name("01a1fbcc587577119687a715d6ba19f0")
    adjective, plant, number = name.split("-")
    assert adjective.isalpha()
    assert plant.isalpha()
    assert 0 <= int(number) < 100
    assert invented_name("01a1fbcc587577119687a715d6ba19f0") == name


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (LogBatch(metrics=[MetricPoint("../a", 1.0)]), InvalidName),
        (LogBatch(params={"k" * 251: "v"}), InvalidName),
        (LogBatch(params={"k": "v" * 6001}), ValueTooLong),
        (LogBatch(params={"k": "a\0b"}), InvalidBatch),
        (LogBatch(tags={"k": "v" * 8001}), ValueTooLong),
        (LogBatch(tags={"a//b": None}), InvalidName),
        (LogBatch(metrics=[MetricPoint("a", 1.0)] * 1001), BatchTooLarge),
        (LogBatch(params={str(n): "" for n in range(101)}), BatchTooLarge),
        (LogBatch(metrics=[MetricPoint("a", 1.0, step=2**63)]), InvalidBatch),
        (LogBatch(metrics=[MetricPoint("a", 1.0, ts=-1)]), InvalidBatch),
        (LogBatch(inputs=[DatasetInput("d", "")]), InvalidBatch),
    ],
)
def test_a_batch_beyond_a_limit_is_refused(batch: LogBatch, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_batch(batch)


def test_a_batch_at_its_limits_is_taken() -> None:
    check_batch(LogBatch(metrics=[MetricPoint("k" * 250, 1.0)] * 1000, params={"k": "v" * 6000}, tags={"k": "v" * 8000}))


def row(step: int, ts: int, value: float | None) -> dict[str, object]:
    return {"step": step, "ts": ts, "value": value, "min": None, "max": None, "count": 1}


rows = st.builds(row, st.integers(-3, 3), st.integers(0, 3), st.none() | st.floats(allow_nan=False))


@given(rows, rows, rows)
def test_folding_points_does_not_depend_on_how_they_are_grouped(a: dict, b: dict, c: dict) -> None:
    assert fold_latest(fold_latest(a, b), c) == fold_latest(a, fold_latest(b, c))


@given(st.lists(rows, min_size=1, max_size=8))
def test_the_latest_point_has_the_greatest_step_then_time_then_value(points: list[dict]) -> None:
    folded = points[0]
    for point in points[1:]:
        folded = fold_latest(folded, point)
    best = max(
        points, key=lambda p: (p["step"], p["ts"], -math.inf if p["value"] is None else p["value"], p["value"] is not None)
    )
    numbers = [p["value"] for p in points if p["value"] is not None]
    assert (folded["step"], folded["ts"], folded["value"]) == (best["step"], best["ts"], best["value"])
    least, most = (folded["value"] if folded[name] is None else folded[name] for name in ("min", "max"))
    assert (least, most, folded["count"]) == (
        min(numbers, default=None),
        max(numbers, default=None),
        len(points),
    )


@given(st.lists(st.none() | st.floats(allow_nan=False), max_size=300), st.integers(4, 50))
def test_a_thinned_curve_keeps_ends_and_extremes(values: list[float | None], most: int) -> None:
    points = [(step, step, value) for step, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= max(most, 0)
    assert kept == sorted(set(kept), key=lambda point: point[0])
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
    numbers = [value for _, _, value in points if value is not None]
    if numbers:
        assert {min(numbers), max(numbers)} <= {value for _, _, value in kept}
