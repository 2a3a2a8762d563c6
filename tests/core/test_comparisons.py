"""The grammar of MLflow's filter strings: what it reads, and what it says of what it cannot read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tilth.core.comparisons import Comparison, InvalidComparison, OrderItem, parse_comparisons, parse_order_item


@pytest.mark.parametrize(
    ("text", "prefix", "key", "operator", "value"),
    [
        ("metrics.auc > 0.7", "metrics", "auc", ">", 0.7),
        ("metrics.auc>=-1.5e-3", "metrics", "auc", ">=", -0.0015),
        ("metrics.a < .5", "metrics", "a", "<", 0.5),
        ("metrics.val.loss != 5", "metrics", "val.loss", "!=", 5),
        ('metrics."a b" = 1', "metrics", "a b", "=", 1),
        ("metrics.`a/b c` <= 1", "metrics", "a/b c", "<=", 1),
        ("`metrics`.`a` > 1", "metrics", "a", ">", 1),
        ("params.model like 'xg%'", "params", "model", "LIKE", "xg%"),
        ('tags.x ILIKE "%A%"', "tags", "x", "ILIKE", "%A%"),
        ("tags.x = 'it''s'", "tags", "x", "=", "it's"),
        ("tags.x = ''", "tags", "x", "=", ""),
        ("tags.mlflow.source.name = 'x'", "tags", "mlflow.source.name", "=", "x"),
        ("tags.x IS  NULL", "tags", "x", "IS NULL", None),
        ("params.x is not null", "params", "x", "IS NOT NULL", None),
        ("run_id IN ('a', 'b')", None, "run_id", "IN", ("a", "b")),
        ("attributes.run_id not in ('a')", "attributes", "run_id", "NOT IN", ("a",)),
        ("\"run name\" = 'x'", None, "run name", "=", "x"),
        ("tags.order = 'x'", "tags", "order", "=", "x"),
        ("params.x == 'a'", "params", "x", "==", "a"),
        ("params.x NOT LIKE 'a'", "params", "x", "NOT LIKE", "a"),
        ("params.x = abc", "params", "x", "=", "abc"),
    ],
)
def test_a_comparison_is_read(text: str, prefix: str | None, key: str, operator: str, value: object) -> None:
    (read,) = parse_comparisons(text)
    assert (read.prefix, read.key, read.operator, read.value) == (prefix, key, operator, value)


def test_comparisons_are_joined_by_and_in_any_case_and_know_where_they_stand() -> None:
    first, second = parse_comparisons("metrics.a > 1 AND tags.b = 'x' and ")
    assert first == Comparison("metrics", "a", ">", 1, False, "1", 0, 12)
    assert second == Comparison("tags", "b", "=", "x", True, "'x'", 18, 27)
    assert parse_comparisons("  ") == ()


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("foo", "Invalid clause(s) in filter string: 'foo'", 0),
        ("metrics.a >", "Invalid clause(s) in filter string: 'metrics.a', '>'", 10),
        ("metrics.a > 1 OR metrics.b > 2", "Invalid clause(s) in filter string: 'OR'", 14),
        ("(metrics.a > 1)", "Invalid clause(s) in filter string: '(metrics.a > 1)'", 0),
        (
            "metrics.m-1 > 0",
            "Invalid clause(s) in filter string: 'metrics.m', '-1'; keys with odd characters stand in backticks",
            9,
        ),
        ("tags.version = commit-hash", "Invalid clause(s) in filter string: '-'", 21),
        ("params.a = 'open", "Invalid clause(s) in filter string: 'params.a', '=', '''", 11),
        ("1 < metrics.a", "Invalid comparison clause. Expected 'Identifier' found '1'", 0),
        ("metrics.a > 1; metrics.b > 2", "Search filter contained multiple expression", 13),
        ("run_id IN 'a'", "Invalid clause(s) in filter string: 'run_id', 'IN', ''a''", 10),
        ("run_id IN ('a'", "Invalid clause(s) in filter string: 'run_id', 'IN', '(', ''a''", 11),
        (
            "run_id IN (a)",
            "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.",
            11,
        ),
    ],
)
def test_what_is_not_understood_is_named_with_its_place(text: str, message: str, position: int) -> None:
    with pytest.raises(InvalidComparison) as refused:
        parse_comparisons(text)
    assert str(refused.value).startswith(message)
    assert refused.value.position == position


@pytest.mark.parametrize(
    ("text", "message"),
    [("x IN ()", "got empty list"), ("x IN (1)", "got different type in list: (1)"), ("x = 'a'", "ill-formed list")],
)
def test_a_list_of_texts_holds_texts(text: str, message: str) -> None:
    (read,) = parse_comparisons(text)
    with pytest.raises(InvalidComparison, match="While parsing a list in the query, expected") as refused:
        read.texts()
    assert message in str(refused.value)


def test_a_filter_has_bounds() -> None:
    with pytest.raises(InvalidComparison, match="more than 100 comparisons"):
        parse_comparisons(" AND ".join(["a > 1"] * 10_000))
    with pytest.raises(InvalidComparison, match="100000 are allowed"):
        parse_comparisons("x" * 100_001)
    with pytest.raises(InvalidComparison, match="a list of more than 1000 values"):
        parse_comparisons("a IN (" + "'x'," * 1001 + ")")


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("metrics.auc DESC", OrderItem("metrics", "auc", False)),
        ("start_time", OrderItem(None, "start_time", True)),
        ("params.`a b` asc", OrderItem("params", "a b", True)),
        ('tags."x-y"', OrderItem("tags", "x-y", True)),
    ],
)
def test_an_order_is_read(text: str, item: OrderItem) -> None:
    assert parse_order_item(text) == item


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Invalid order_by clause ''. Could not be parsed."),
        ("metrics.a, metrics.b", "Could not be parsed."),
        ("tags.x-y", "Could not be parsed."),
        ("metrics.a desc foo", "Could not be parsed."),
        ("metrics.a sideways", "Invalid ordering key in order_by clause 'metrics.a sideways'."),
    ],
)
def test_an_order_that_is_not_understood_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidComparison) as refused:
        parse_order_item(text)
    assert message in str(refused.value)


FRAGMENTS = [
    "metrics.",
    "params.a",
    " ",
    "'",
    '"',
    "`",
    "(",
    ")",
    ",",
    "AND",
    "IN",
    "IS NULL",
    "NOT",
    "=",
    ">=",
    "1",
    "-1.5",
    ";",
    ".",
    "é",
    "\0",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join)))
@example("metrics.'a")
@example('""')
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    for parse in (parse_comparisons, parse_order_item):
        assert 0 <= refused_at(parse, text) <= len(text)


def refused_at(parse: Callable[[str], object], text: str) -> int:
    try:
        parse(text)
    except InvalidComparison as refused:
        return refused.position
    return 0


KEYS = st.text(st.characters(exclude_characters="`", exclude_categories=["Cs"]), min_size=1)
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["metrics", "params", "tags"]), KEYS, st.sampled_from(["=", "!=", "LIKE"]), VALUES), max_size=5
    )
)
def test_what_was_written_out_is_read_back(terms: list[tuple[str, str, str, str | int | float]]) -> None:
    def shown(value: str | int | float) -> str:
        return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)

    text = " AND ".join(f"{prefix}.`{key}` {operator} {shown(value)}" for prefix, key, operator, value in terms)
    assert [(read.prefix, read.key, read.operator, read.value) for read in parse_comparisons(text)] == terms
