"""MLflow's filters and orders of runs in our own terms, and the texts of their errors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.comparisons import InvalidComparison
from tilth.domains.tracking.rules.filters import Condition, Order
from tilth.domains.tracking.rules.mlflow_filters import parse_mlflow_filter, parse_mlflow_orders


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("metrics.auc > 0.7", Condition("metric", "auc", ">", "0.7", 0.7)),
        ("metric.`val auc` <= -1", Condition("metric", "val auc", "<=", "-1", -1.0)),
        ("params.depth = '7'", Condition("param", "depth", "=", "7")),
        ("parameters.model LIKE 'xg%'", Condition("param", "model", "like", "xg%")),
        ('tags."a b" ILIKE "%X%"', Condition("tag", "a b", "ilike", "%X%")),
        ("tags.x IS NULL", Condition("tag", "x", "is_null")),
        ("param.x IS NOT NULL", Condition("param", "x", "not_null")),
        ("start_time >= 1664067852747", Condition("attribute", "started", ">=", "1664067852747", 1664067852747.0)),
        ("attributes.created < 5", Condition("attribute", "started", "<", "5", 5.0)),
        ("end_time != 5", Condition("attribute", "ended", "!=", "5", 5.0)),
        ("run_id IN ('a', 'b')", Condition("attribute", "id", "in", values=("a", "b"))),
        ("attr.run_id NOT IN ('a')", Condition("attribute", "id", "not_in", values=("a",))),
        ("\"run name\" = 'x'", Condition("attribute", "name", "=", "x")),
        ("user_id = 'anna'", Condition("attribute", "user_name", "=", "anna")),
        ("dataset.name LIKE 'fl%'", Condition("dataset", "name", "like", "fl%")),
        ("datasets.digest IN ('a', 'b')", Condition("dataset", "digest", "in", values=("a", "b"))),
        ("status = 'FINISHED'", Condition("attribute", "status", "in", "FINISHED", values=("finished",))),
        ("status = 'FAILED'", Condition("attribute", "status", "in", "FAILED", values=("failed", "lost"))),
        ("status LIKE 'F%'", Condition("attribute", "status", "in", "F%", values=("finished", "failed", "lost"))),
        ("status ILIKE 'run%'", Condition("attribute", "status", "in", "run%", values=("running",))),
        ("status = 'finished'", Condition("attribute", "status", "in", "finished", values=())),
    ],
)
def test_a_comparison_becomes_a_condition(text: str, condition: Condition) -> None:
    assert parse_mlflow_filter(text) == (condition,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo.a > 1", "Invalid entity type 'foo'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"),
        ("`metrics.a` > 1", "Invalid entity type '`metrics'. Valid values are"),
        ("Metrics.a > 1", "Invalid entity type 'Metrics'"),
        ("foo = 'a'", "Invalid attribute key 'foo' specified. Valid keys are"),
        ("attributes.lifecycle_stage = 'active'", "Invalid attribute key 'lifecycle_stage' specified."),
        ("dataset.foo = 'x'", "Invalid dataset key 'foo' specified. Valid keys are"),
        ("metrics.a = 'x'", "Expected numeric value type for metric. Found 'x'"),
        ("metrics.a > b", "Expected numeric value type for metric. Found b"),
        ("metrics.a IN (1)", "Expected numeric value type for metric. Found (1)"),
        ("metrics.a LIKE 1", "Invalid comparator 'LIKE' not one of"),
        ("metrics.a == 1", "Invalid comparator '==' not one of"),
        ("params.a > '5'", "Invalid comparator '>' not one of"),
        ("params.a = 5", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5"),
        ("tags.a IN ('b')", "Expected a quoted string value for tag (e.g. 'my-value'). Got value ('b')"),
        ("params.a = abc", "Parameter value is either not quoted or unidentified quote types used for string value abc."),
        ("tags.a = `abc`", "Parameter value is either not quoted or unidentified quote types used for string value `abc`."),
        ("start_time > '5'", "Expected numeric value type for numeric attribute: start_time. Found '5'"),
        ("status = 1", "Expected a quoted string value for attributes. Got value 1"),
        ("status IN ('FINISHED')", "Only ['run_id'] attributes support comparison with a list of quoted string values."),
        ("run_id IN ()", "While parsing a list in the query, expected a non-empty list of string values, but got empty list"),
        ("dataset.name = 1", "Expected a quoted string value for dataset attributes. Got value 1"),
        ("metrics.a IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric' 'a'"),
    ],
)
def test_errors_are_told_in_words_that_clients_match(text: str, message: str) -> None:
    with pytest.raises(InvalidComparison) as refused:
        parse_mlflow_filter(text)
    assert str(refused.value).startswith(message)


def test_orders_are_lists() -> None:
    assert parse_mlflow_orders(["metrics.auc DESC", "params.`a b`", "created desc", "run_id"]) == (
        Order("metric", "auc", True),
        Order("param", "a b", False, as_text=True),
        Order("attribute", "started", True),
        Order("attribute", "id", False),
    )


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["timestamp"], "Invalid attribute key 'timestamp' specified. Valid keys are"),
        (["foo.a"], "Invalid entity type 'foo'."),
        (["metrics.a up"], "Invalid ordering key in order_by clause 'metrics.a up'."),
        (["metrics.a"] * 21, "Invalid order_by: 21 items"),
    ],
)
def test_an_order_that_is_not_understood_is_named(items: list[str], message: str) -> None:
    with pytest.raises(InvalidComparison) as refused:
        parse_mlflow_orders(items)
    assert str(refused.value).startswith(message)


@given(st.text(st.sampled_from("metrics.params tags'`\"()=<>!,10INLKE_%\0é;-"), max_size=60))
def test_any_text_becomes_conditions_or_is_refused(text: str) -> None:
    try:
        terms = parse_mlflow_filter(text)
    except InvalidComparison:
        return
    assert all(term.number is None or not math.isnan(term.number) for term in terms)
