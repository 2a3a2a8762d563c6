"""Pages of a search against a plain reading of the language in Python: same runs, same order, whatever plan was chosen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, literal, select

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.actions.care import archive_run
from tilth.domains.tracking.queries import filters, search
from tilth.domains.tracking.rules.batches import as_number
from tilth.domains.tracking.rules.columns import parse_columns
from tilth.domains.tracking.rules.filters import Condition, Order, parse_filter
from tilth.domains.tracking.types import InvalidPage, SearchTooSlow
from tilth.wire.tracking import DatasetInput, LogBatch, MetricPoint, RunCreate

ANNA = Actor(id="a" * 32, name="anna", kind="user", via="token:1")
_projects = count(0x5EA)

TEXTS = ("1", "2", "10", "1.0", "inf", "x", "X y", "x%", "xé", "")
NUMBERS = (-1.0, 0.0, 0.5, 2.0, math.inf, math.nan)


@dataclass
class Sample:
    """One run of a project, as Python sees it."""

    experiment: str
    started: int
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    fate: str = ""
    id: str = ""


keyed_numbers = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(NUMBERS), max_size=2)
keyed_texts = st.dictionaries(st.sampled_from(["a", "p"]), st.sampled_from(TEXTS), max_size=2)
samples = st.builds(
    Sample,
    experiment=st.sampled_from(["trees", "herbs"]),
    started=st.integers(1, 4),
    metrics=keyed_numbers,
    params=keyed_texts,
    tags=keyed_texts,
    data=st.lists(st.sampled_from(["flights", "fleet"]), max_size=2, unique=True),
    fate=st.sampled_from(["", "", "", "", "deleted", "archived"]),
)
number_terms = st.builds(
    lambda key, operator, number: Condition("metric", key, operator, str(number), number),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
    st.sampled_from([0.0, 0.5, 2.0, math.inf]),
)
text_terms = st.builds(
    Condition,
    st.sampled_from(["param", "tag"]),
    st.sampled_from(["a", "p"]),
    st.sampled_from(["=", "!=", "~", "!~", "^=", "like", "ilike", "is_null", "not_null"]),
    st.sampled_from([*TEXTS, "%", "x%", "_", "X%y", "é"]),
)
numeric_params = st.builds(
    lambda operator, number: Condition("param", "p", operator, f"{number:g}", number),
    st.sampled_from(["<", ">=", "=", "!="]),
    st.sampled_from([1.0, 2.0, 10.0]),
)
data_terms = st.one_of(
    st.builds(
        Condition, st.just("dataset"), st.just("name"), st.sampled_from(["=", "!=", "like"]), st.sampled_from(["flights", "fl%"])
    ),
    st.builds(lambda op: Condition("dataset", "name", op, values=("flights", "none")), st.sampled_from(["in", "not_in"])),
)
any_terms = st.sampled_from(
    [parse_filter(text)[0] for text in ("a=1", "a>0", "a=x", "p~x", "a!=2", "p^=x", "p=inf", "start_time>=2", "duration>1")]
)
terms = st.lists(st.one_of(number_terms, text_terms, numeric_params, data_terms, any_terms), max_size=3)
orders = st.lists(
    st.builds(
        Order,
        st.sampled_from(["metric", "param", "tag"]),
        st.sampled_from(["a", "p"]),
        st.booleans(),
        st.booleans(),
    )
    | st.builds(Order, st.just("attribute"), st.sampled_from(["started", "name", "ended"]), st.booleans()),
    max_size=2,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(samples, max_size=9),
    st.lists(
        st.tuples(
            terms, orders, st.sampled_from([None, ["trees"], ["trees", "herbs"]]), st.sampled_from(["active", "deleted", "all"])
        ),
        min_size=4,
        max_size=4,
    ),
    st.integers(1, 4),
    st.sampled_from([0, 3, 10_000]),
)
def test_pages_one_after_another_are_what_python_finds(
    either_db: Database,
    runs: list[Sample],
    questions: list[tuple[list[Condition], list[Order], list[str] | None, search.Lifecycle]],
    limit: int,
    few: int,
) -> None:
    project, experiments = made(either_db, runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FEW", few)
        # Half of the questions with each term kept out of PostgreSQL's joins, as many terms are.
        patch.setattr(filters, "FEW_CONDITIONS", limit % 2 * 6)
        for wanted, order, names, lifecycle in questions:
            ids = None if names is None else [experiments[name] for name in names]
            found: list[str] = []
            token = ""
            while True:
                page = either_db.read_blocking(
                    lambda tx, ids=ids, token=token, wanted=wanted, order=order, lifecycle=lifecycle: queries.runs_page(  # type: ignore[misc]
                        tx,
                        project,
                        terms=wanted,
                        experiment_ids=ids,
                        order=order,
                        limit=limit,
                        after=token,
                        lifecycle=lifecycle,
                        archived=None if lifecycle == "all" else False,
                    )
                )
                found += [run.id for run in page.runs]
                token = page.next_token
                if not token:
                    break
            expected = reference(runs, wanted, order, names, lifecycle)
            assert found == expected
            assert (page.total, page.capped) == (len(expected), False)


def made(db: Database, runs: Sequence[Sample]) -> tuple[ProjectId, dict[str, str]]:
    """A project of its own with these runs."""
    project = ProjectId(f"{next(_projects):032x}")

    def write(tx: Any) -> dict[str, str]:
        names = {name: actions.create_experiment(tx, ANNA, project, name) for name in ("trees", "herbs")}
        for sample in runs:
            wanted = RunCreate(
                experiment=sample.experiment, name="n", started=sample.started, params=sample.params, tags=sample.tags
            )
            sample.id = actions.create_run(tx, ANNA, project, wanted)
            points = [MetricPoint(key, "NaN" if math.isnan(value) else value) for key, value in sample.metrics.items()]
            inputs = [DatasetInput(name, "1") for name in sample.data]
            actions.log(tx, project, sample.id, LogBatch(metrics=points, inputs=inputs), 10)
            if sample.fate == "deleted":
                actions.delete_run(tx, ANNA, project, sample.id)
            elif sample.fate == "archived":
                archive_run(tx, ANNA, project, sample.id)
        return names

    return project, db.write_blocking(write)


def reference(
    runs: Sequence[Sample], terms: Sequence[Condition], orders: Sequence[Order], names: Sequence[str] | None, lifecycle: str
) -> list[str]:
    fates = {"active": ("",), "deleted": ("deleted",), "all": ("", "deleted", "archived")}[lifecycle]
    found = [run for run in runs if run.fate in fates and (names is None or run.experiment in names)]
    found = [run for run in found if all(meets(run, term) for term in terms)]
    found.sort(key=lambda run: (-run.started, run.id))
    for order in reversed(orders):
        found.sort(key=cmp_to_key(comparing(order)))
    return [run.id for run in found]


def comparing(order: Order) -> Callable[[Sample, Sample], int]:
    """Missing last, whatever the direction, NaN before it."""

    def places(run: Sample) -> list[Any]:
        match order.entity:
            case "metric":
                value = run.metrics.get(order.key)
                missing = value is None or math.isnan(value)
                return [0, (2 if value is None else 1) if missing else 0, None if missing else value]
            case "param":
                text = run.params.get(order.key)
                return [None, None if order.as_text or text is None else as_number(text), text]
            case "tag":
                return [run.tags.get(order.key)]
            case _:
                return [{"started": run.started, "name": "n", "ended": None}[order.key]]

    def compare(one: Sample, other: Sample) -> int:
        first, second = places(one), places(other)
        if order.entity == "metric" and first[1] != second[1]:
            return int(first[1] - second[1])
        for a, b in zip(first, second, strict=True):
            if a is None or b is None:
                if (a is None) != (b is None):
                    return 1 if a is None else -1
            elif a != b:
                return (1 if a > b else -1) * (-1 if order.descending else 1)
        return 0

    return compare


def meets(run: Sample, term: Condition) -> bool:
    match term.entity:
        case "metric":
            value = run.metrics.get(term.key)
            return value is not None and compared(value, term)
        case "param" | "tag":
            return text_meets((run.params if term.entity == "param" else run.tags).get(term.key), term)
        case "dataset":
            return any(text_meets(name, term) for name in run.data)
        case "attribute":
            return term.key == "started" and compared(run.started, term)
        case _:
            kinds = ("metric", "param") if term.operator in ("<", "<=", ">", ">=") else ("metric", "param", "tag")
            return any(
                meets(run, Condition(kind, term.key, term.operator, term.text, term.number if kind != "tag" else None))  # type: ignore[arg-type]
                for kind in kinds
                if kind != "metric" or term.number is not None
            )


def compared(value: float, term: Condition) -> bool:
    assert term.number is not None
    return {
        "<": value < term.number,
        "<=": value <= term.number,
        ">": value > term.number,
        ">=": value >= term.number,
        "=": value == term.number,
        "!=": value != term.number,
    }[term.operator]


def text_meets(text: str | None, term: Condition) -> bool:
    if text is None:
        return term.operator == "is_null"
    if term.number is not None:
        number = as_number(text)
        if term.operator == "!=":
            return number is None or number != term.number
        return (number is not None and compared(number, term)) or (term.operator == "=" and text == term.text)
    lower = (text.lower(), term.text.lower())
    return {
        "=": text == term.text,
        "!=": text != term.text,
        "~": lower[1] in lower[0],
        "!~": lower[1] not in lower[0],
        "^=": text.startswith(term.text),
        "like": like(text, term.text),
        "ilike": like(*lower),
        "in": text in term.values,
        "not_in": text not in term.values,
        "is_null": False,
        "not_null": True,
    }[term.operator]


def like(text: str, pattern: str) -> bool:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


@pytest.fixture(scope="module")
def forest(either_db: Database) -> tuple[Database, ProjectId]:
    """Thirty runs in one project: metric m counts up, param kind is one of three, every run has the tag `seen`."""
    runs = [Sample("trees", n, {"m": float(n)}, {"kind": f"k{n % 3}"}, {"seen": f"set-{n}"}) for n in range(1, 31)]
    project, _ = made(either_db, runs)
    return either_db, project


def test_a_page_follows_although_runs_were_added_meanwhile(forest: tuple[Database, ProjectId]) -> None:
    db, project = forest
    order = (Order("metric", "m", True),)

    def page(after: str = "") -> queries.RunsPage:
        terms = parse_filter("m<100")
        return db.read_blocking(lambda tx: queries.runs_page(tx, project, terms=terms, order=order, limit=10, after=after))

    first = page()
    better = db.write_blocking(lambda tx: actions.create_run(tx, ANNA, project, RunCreate(experiment="trees")))
    db.write_blocking(lambda tx: actions.log(tx, project, better, LogBatch(metrics=[MetricPoint("m", 50.0)]), 1))
    second = page(first.next_token)
    assert not {run.id for run in first.runs} & {run.id for run in second.runs}
    assert [run.started for run in second.runs] == list(range(20, 10, -1))


def test_a_hundred_terms_are_answered_on_either_database(forest: tuple[Database, ProjectId]) -> None:
    """PostgreSQL would weigh the orders of a hundred joins until the search is ended."""
    db, project = forest
    terms = [Condition("metric", "m", "<", number=20.5 + n) for n in range(50)]
    terms += [Condition("tag", "seen", "like", f"%{'_' * (n % 3)}%") for n in range(50)]
    page = db.read_blocking(lambda tx: queries.runs_page(tx, project, terms=terms, limit=100))
    assert [run.started for run in page.runs] == list(range(20, 0, -1))


@pytest.mark.parametrize("token", ["nonsense", "ä", "AAAA", "x" * 30_000, "gqRhYmM"])
def test_a_token_that_is_none_is_refused(forest: tuple[Database, ProjectId], token: str) -> None:
    db, project = forest
    with pytest.raises(InvalidPage, match=r"take next_page_token of the answer before|page_token belongs to another"):
        db.read_blocking(lambda tx: queries.runs_page(tx, project, after=token))


def test_a_token_belongs_to_its_question(forest: tuple[Database, ProjectId]) -> None:
    db, project = forest
    token = db.read_blocking(lambda tx: queries.runs_page(tx, project, limit=5)).next_token
    with pytest.raises(InvalidPage, match="page_token belongs to another filter, order or scope"):
        db.read_blocking(lambda tx: queries.runs_page(tx, project, terms=parse_filter("m>3"), limit=5, after=token))


def test_a_search_that_takes_too_long_is_ended_with_a_hint(
    forest: tuple[Database, ProjectId], monkeypatch: pytest.MonkeyPatch
) -> None:
    db, project = forest

    def slow(tx: Any, *_: object) -> None:
        endless = select(literal(1).label("n")).cte("endless", recursive=True)
        endless = endless.union_all(select(endless.c.n + 1))
        tx.scalar(select(func.max(endless.c.n)))

    monkeypatch.setattr(search, "PATIENCE_S", 0.05)
    monkeypatch.setattr(search, "_plan", slow)
    with pytest.raises(SearchTooSlow, match=r"ended after 0\.05 s: .*; add a term that few runs meet"):
        db.read_blocking(lambda tx: queries.runs_page(tx, project))
    # The connection is as patient as before.
    assert db.read_blocking(lambda tx: queries.metric_keys(tx, project, [])) == []


def test_keys_and_values_are_found_by_their_beginnings(forest: tuple[Database, ProjectId]) -> None:
    db, project = forest
    assert db.read_blocking(lambda tx: queries.keys_there_are(tx, project, "param")) == ["kind"]
    assert db.read_blocking(lambda tx: queries.keys_there_are(tx, project, "metric", prefix="n")) == []
    assert db.read_blocking(lambda tx: queries.values_there_are(tx, project, "param", "kind")) == ["k0", "k1", "k2"]
    found = db.read_blocking(lambda tx: queries.values_there_are(tx, project, "tag", "seen", prefix="set-1", limit=4))
    assert found == ["set-1", "set-10", "set-11", "set-12"]


def test_groups_count_runs_and_sum_up_a_metric(forest: tuple[Database, ProjectId]) -> None:
    db, project = forest
    groups = db.read_blocking(
        lambda tx: queries.run_groups(tx, project, by=("param", "kind"), metric="m", terms=parse_filter("m<=6"))
    )
    assert [(group.value, group.runs, group.mean, group.min, group.max) for group in groups] == [
        ("k0", 2, 4.5, 3.0, 6.0),
        ("k1", 2, 2.5, 1.0, 4.0),
        ("k2", 2, 3.5, 2.0, 5.0),
    ]
    (all_of_them,) = db.read_blocking(
        lambda tx: queries.run_groups(tx, project, by=("attribute", "experiment"), terms=parse_filter("m<=6"))
    )
    assert (all_of_them.value, all_of_them.runs, all_of_them.mean) == ("trees", 6, None)


def test_columns_are_chosen_on_the_server(forest: tuple[Database, ProjectId]) -> None:
    db, project = forest

    def rows(columns: str | None) -> list[Any]:
        wanted = parse_columns(columns)
        return db.read_blocking(
            lambda tx: queries.rows_with_values(
                tx, project, queries.runs_page(tx, project, terms=parse_filter("m=4")).runs, wanted
            )
        )

    (row,) = rows("metrics.m,metrics.m:max,metrics.m:count,params.none,tags.seen")
    assert (row.metrics, row.params, row.tags) == ({"m": 4.0, "m:max": 4.0, "m:count": 1}, {}, {"seen": "set-4"})
    (row,) = rows(None)
    assert (row.metrics, row.params) == ({"m": 4.0}, {"kind": "k1"})
    (row,) = rows("")
    assert (row.metrics, row.params, row.tags) == ({}, {}, {})
