"""Shares of the requests over versions of one model, given by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import NotFound
from tilth.domains.models import actions as models
from tilth.domains.models.types import UnknownVersion, VersionInUse
from tilth.domains.serving import actions, queries
from tilth.domains.serving.rules import splits
from tilth.domains.serving.types import InvalidSplit, NothingToRollBack, Route
from tilth.plane.routing import RouteTable

PARTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=9).map(
    lambda cuts: [b - a for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 10_000], strict=True) if b > a]
)


def shares(deployment: Any) -> list[tuple[int, int]]:
    return [(route.version, route.weight) for route in deployment.routes]


@pytest.fixture
def served(bench: Any) -> Any:
    """Versions 1 to 3 of `m`, version 2 deployed as `d`."""
    for seed in "abc":
        bench.version("m", seed)
    bench.do(actions.deploy, "d", model="m", version=2)
    return bench


def test_a_split_shares_out_the_requests_and_holds_every_version(served: Any) -> None:
    made = served.do(actions.split, "d", {2: 95, 3: 5}, note="a careful start")
    assert (shares(made), made.version, made.generation, made.alias) == ([(3, 500), (2, 9500)], 2, 2, None)
    for version in (2, 3):
        with pytest.raises(VersionInUse, match="deployment 'd'"):
            served.do(models.delete_version, "m", version)
    served.do(models.delete_version, "m", 1)
    history = served.ask(queries.generations_of, made.id)
    assert [(each.cause, [route.version for route in each.routes]) for each in history] == [("split", [3, 2]), ("deploy", [2])]


def test_a_growing_share_keeps_every_caller_even_when_it_becomes_the_largest(served: Any) -> None:
    before: set[bytes] = set()
    keys = [str(number).encode() for number in range(400)]
    for percent in (5, 20, 60, 90):
        made = served.do(actions.split, "d", {3: percent, 2: 100 - percent})
        table = RouteTable(made.salt, [(route.weight, route.version) for route in made.routes])
        met = {key for key in keys if table.choose(key) == 3}
        assert before <= met
        before = met
    assert made.version == 3


def test_a_rollback_of_a_split_restores_the_routes_before_it_and_the_split_after_that(served: Any) -> None:
    served.do(actions.split, "d", {3: 5, 2: 95})
    back = served.do(actions.rollback, "d")
    assert shares(back) == [(2, 10_000)]
    assert shares(served.do(actions.rollback, "d")) == [(3, 500), (2, 9500)]
    assert shares(served.do(actions.rollback, "d", to_generation=1)) == [(2, 10_000)]


def test_a_split_that_is_there_already_makes_no_generation(served: Any) -> None:
    served.do(actions.split, "d", {3: 5, 2: 95})
    assert served.do(actions.split, "d", {2: 95, 3: 5}).generation == 2


def test_a_split_to_one_version_pins_it(served: Any) -> None:
    served.do(models.set_alias, "m", "champion", 2)
    served.do(actions.deploy, "d", model="m", alias="champion")
    assert served.do(actions.split, "d", {2: 100}).alias is None


@pytest.mark.parametrize(
    ("percents", "why"),
    [
        ({3: 5, 2: 94}, "add up to 99 %"),
        ({3: 0, 2: 100}, "version 3 shall have 0 %"),
        ({3: 0.005, 2: 99.995}, "two decimals"),
        ({3: float("nan"), 2: 100}, "version 3 shall have nan %"),
        ({3: float("inf"), 2: 1}, "version 3"),
        ({}, "1 to 10 versions"),
        (dict.fromkeys(range(11), 100 / 11), "not 11"),
    ],
)
def test_shares_that_do_not_make_a_whole_are_refused(served: Any, percents: dict[int, float], why: str) -> None:
    with pytest.raises(InvalidSplit, match=why):
        served.do(actions.split, "d", percents)


def test_a_split_over_what_is_not_there_is_refused(served: Any) -> None:
    with pytest.raises(UnknownVersion):
        served.do(actions.split, "d", {9: 5, 2: 95})
    with pytest.raises(NotFound):
        served.do(actions.split, "elsewhere", {2: 100})


def test_a_deployment_that_never_changed_its_shares_has_nothing_to_roll_back_to(served: Any) -> None:
    with pytest.raises(NothingToRollBack, match="nor other shares"):
        served.do(actions.rollback, "d")


@given(PARTS)
def test_percents_with_two_decimals_are_parts_of_ten_thousand_exactly(parts: list[int]) -> None:
    assert list(splits.weights({n: part / 100 for n, part in enumerate(parts)}).values()) == parts


@given(PARTS)
def test_the_main_version_has_the_largest_share(parts: list[int]) -> None:
    routes = [Route("m", number, "l", "d", part) for number, part in enumerate(parts)]
    assert parts[splits.main_version(routes)] == max(parts)


def test_a_split_goes_over_http_and_a_doubled_version_is_refused(installation: Any, register: Any) -> None:
    client = installation.client
    for seed in "ab":
        register(seed)
    client.put("/api/v1/p/default/deployments/d", json={"model": "m", "version": 1})
    url = "/api/v1/p/default/deployments/d/split"
    made = client.put(url, json={"shares": [{"version": 2, "percent": 2.5}, {"version": 1, "percent": 97.5}]})
    assert made.json()["routes"] == [{"version": 2, "share": 0.025}, {"version": 1, "share": 0.975}]
    twice = client.put(url, json={"shares": [{"version": 2, "percent": 50}, {"version": 2, "percent": 50}]})
    assert (twice.status_code, "stands twice" in twice.text) == (400, True)
    detail = client.get("/api/v1/p/default/deployments/d").json()
    assert detail["generations"][0]["routes"][0] == {"version": 2, "share": 0.025}
