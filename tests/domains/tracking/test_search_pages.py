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

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.actions.care import archive_run
from tilth.domains.tracking.queries import search
from tilth.domains.tracking.rules.batches import as_number
from tilth.domains.tracking.rules.filters import Condition, Order, parse_filter
from tilth.domains.tracking.types import InvalidPage, SearchTooSlow
from tilth.wire.tracking import DatasetInput, LogBatch, MetricPoint, RunCreate

ANNA = Actor(id="a" * 32, name="anna", kind="user", via="token:1")
_projects = count(0x5EA)

TEXTS = ("1", "2", "10", "1.0", "x", "X y", "x%", "xé", "")
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
    [parse_filter(text)[0] for text in ("a=1", "a>0", "a=x", "p~x", "a!=2", "p^=x", "start_time>=2", "duration>1")]
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
                return [0 if order.descending else 0, (2 if value is None else 1) if missing else 0, None if missing else value]
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
            return value is not None and not math.isnan(value) and compared(value, term)
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
