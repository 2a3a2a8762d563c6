"""Sweeps as the API and the pages tell of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tilth.core.clock import now
from tilth.web.sweep_drawings import parallel_coordinates, rank_correlations
from tilth.wire.sweeps import TrialView

RUNS = "/api/v1/p/default/runs"
SWEEPS = "/api/v1/p/default/sweeps"


def begin(client: Any, *, goal: str = "maximize", state: str = "running", lease: int | None = None) -> str:
    spec = {"metric": "auc", "space": {"depth": {"int": [1, 9]}, "kind": ["a", "b"]}, "goal": goal, "trials": 5}
    ends = now() + 60_000 if lease is None else lease
    tags = {"tilth.sweep": json.dumps(spec), "tilth.sweep.state": state, "tilth.sweep.runner": f"me {ends}"}
    return str(client.post(RUNS, json={"name": "depth and kind", "tags": tags}).json()["id"])


def trial(client: Any, sweep: str, number: int, value: float | str | None, **tags: str) -> str:
    params = {"depth": number, "kind": "ab"[number % 2]}
    marks = {"tilth.sweep.trial": str(number), "tilth.sweep.params": json.dumps(params), **tags}
    run = client.post(RUNS, json={"name": f"trial {number}", "parent_run_id": sweep, "tags": marks}).json()["id"]
    if value is not None:
        assert client.post(f"{RUNS}/{run}/log", json={"metrics": [{"key": "auc", "value": value}]}).status_code == 204
    client.patch(f"{RUNS}/{run}", json={"status": "finished" if value is not None else "failed"})
    return str(run)


@pytest.mark.parametrize(("goal", "order"), [("maximize", [2, 3, 1, 4]), ("minimize", [1, 3, 2, 4])])
def test_trials_come_best_first_and_those_without_a_value_last(app_client, goal, order):
    sweep = begin(app_client, goal=goal)
    for number, value in ((1, 0.5), (2, 0.9), (3, 0.7), (4, None)):
        trial(app_client, sweep, number, value)
    page = app_client.get(f"{SWEEPS}/{sweep}/trials").json()
    assert ([row["number"] for row in page["trials"]], page["total"]) == (order, 4)
    assert page["trials"][0]["params"] == {"depth": order[0], "kind": "ab"[order[0] % 2]}


def test_a_sweep_tells_its_best_and_how_far_it_is(app_client):
    sweep = begin(app_client)
    best = trial(app_client, sweep, 1, 0.75)
    trial(app_client, sweep, 2, None)
    trial(app_client, sweep, 3, 0.1, **{"tilth.sweep.replaced": "yes"})
    app_client.post(f"{RUNS}/{sweep}/log", json={"tags": {"tilth.sweep.best": best}})
    [found] = app_client.get(SWEEPS).json()["sweeps"]
    assert (found["id"], found["best"], found["best_run_id"], found["finished"], found["failed"]) == (sweep, 0.75, best, 1, 1)
    assert (found["state"], found["spec"]["metric"]) == ("running", "auc")


def test_a_sweep_whose_runner_died_is_cut_off(app_client):
    sweep = begin(app_client, lease=now() - 1)
    assert app_client.get(f"{SWEEPS}/{sweep}").json()["state"] == "cut off"
    answer = app_client.post(f"{SWEEPS}/{sweep}/stop")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "sweep_is_over")


def test_stopping_leaves_a_wish_and_an_audit_row(app_client):
    sweep = begin(app_client)
    assert app_client.post(f"{SWEEPS}/{sweep}/stop").json()["stop_wanted"] is True
    assert "tilth.sweep.stop" in app_client.get(f"{RUNS}/{sweep}").json()["tags"]
    events = app_client.get("/api/v1/p/default/audit", params={"words": "sweep.stopped"}).json()["events"]
    assert [event["thing"] for event in events] == [sweep]


def test_a_run_that_is_no_sweep_is_not_found_among_them(app_client):
    run = app_client.post(RUNS, json={"name": "plain", "tags": {"tilth.sweep": "not a spec"}}).json()["id"]
    assert app_client.get(SWEEPS).json()["sweeps"] == []
    answer = app_client.get(f"{SWEEPS}/{run}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_sweep")


@pytest.mark.parametrize("odd", ["²", "9" * 4500, '{"a":' + "[" * 2000 + "]" * 2000 + "}"])
def test_tags_of_sweeps_that_say_nothing_sensible_are_nobodys_fault(app_client, odd):
    sweep = begin(app_client)
    trial(app_client, sweep, 1, 0.5, **{"tilth.sweep.trial": odd, "tilth.sweep.params": odd})
    app_client.post(f"{RUNS}/{sweep}/log", json={"tags": {"tilth.sweep.runner": f"me {odd}"}})
    [row] = app_client.get(f"{SWEEPS}/{sweep}/trials").json()["trials"]
    assert (row["number"], row["params"], row["value"]) == (0, {}, 0.5)
    assert app_client.get(f"{SWEEPS}/{sweep}").json()["state"] == "cut off"
    app_client.post(f"{RUNS}/{sweep}/log", json={"tags": {"tilth.sweep": odd}})
    assert app_client.get(f"{SWEEPS}/{sweep}").status_code == 404


def test_a_sweep_tells_no_value_of_a_run_of_another_project(app_client):
    assert app_client.post("/api/v1/projects", json={"name": "theirs"}).status_code == 201
    theirs = "/api/v1/p/theirs/runs"
    run = app_client.post(theirs, json={"name": "secret"}).json()["id"]
    assert app_client.post(f"{theirs}/{run}/log", json={"metrics": [{"key": "auc", "value": 0.99}]}).status_code == 204
    sweep = begin(app_client)
    app_client.post(f"{RUNS}/{sweep}/log", json={"tags": {"tilth.sweep.best": run}})
    assert app_client.get(f"{SWEEPS}/{sweep}").json()["best"] is None


def test_the_pages_show_the_list_and_the_trials(app_client):
    assert "tilth.sweep(train" in app_client.get("/p/default/sweeps").text
    sweep = begin(app_client)
    for number, value in enumerate((0.5, 0.9, 0.7, "NaN", 0.8, 0.85, 0.6), 1):
        trial(app_client, sweep, number, value)
    trial(app_client, sweep, 8, None)
    assert "depth and kind" in app_client.get("/p/default/sweeps").text
    page = app_client.get(f"/p/default/sweeps/{sweep}").text
    assert all(word in page for word in ("Parallel coordinates of 6 trials", "rank correlation", "0.9", "under way"))
    stopped = app_client.post(f"/p/default/sweeps/{sweep}/stop", follow_redirects=False)
    assert stopped.status_code == 303
    assert "asked it to stop" in app_client.get(f"/p/default/sweeps/{sweep}").text


def views(*pairs: tuple[Any, float | None]) -> list[TrialView]:
    return [TrialView(at, f"run{at}", "finished", value, {"x": x}, False, at, at) for at, (x, value) in enumerate(pairs, 1)]


def test_rank_correlation_is_spearmans():
    assert rank_correlations(views((1, 1.0), (2, 4.0), (3, 9.0), (4, 16.0), (5, 25.0))) == [("x", pytest.approx(1.0))]
    # By hand: ranks 1 2 3 4 5 against 2 1 4 3 5, rho = 1 - 6 * 4 / (5 * 24).
    assert rank_correlations(views((1, 2.0), (2, 1.0), (3, 4.0), (4, 3.0), (5, 5.0))) == [("x", pytest.approx(0.8))]
    assert rank_correlations(views((1, 2.0), (2, 1.0), (3, 4.0))) == []


def test_values_are_escaped_in_the_drawing():
    drawing = parallel_coordinates(views(("<script>", 1.0), ("b", 2.0)), "<auc>", "maximize")
    assert drawing is not None
    assert "<script>" not in drawing
    assert "&lt;script&gt;" in drawing
