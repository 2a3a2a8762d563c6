"""Sweeps by the SDK: values, trials as runs, early stopping, resume."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tilth
from tilth.core.ids import new_id
from tilth.sdk.sweeps.errors import InvalidSweep, NoSweep, OtherSweep, SweepTaken, TooManyFailures
from tilth.sdk.sweeps.space import draw, grid, parse_space
from tilth.sdk.sweeps.stopping import Reports
from tilth.wire.sweeps import EarlyStopping

SPACE = {"depth": {"int": [1, 6]}, "rate": {"loguniform": [0.001, 1.0]}, "kind": ["a", "b"]}


def bowl(trial: Any) -> float:
    """Best at depth 4 and rate 0.1."""
    return -((trial["depth"] - 4) ** 2) - abs(math.log10(trial["rate"]) + 1)


@dataclass
class Place:
    """An experiment of the test's own, on a server that other tests use, too."""

    live: Any
    name: str = field(default_factory=lambda: f"search {new_id()}")

    def sweep(self, train: Any, space: Any = None, **settings: Any) -> tilth.SweepResult:
        return tilth.sweep(train, space, experiment=self.name, **settings)

    def runs(self, filter: str = "") -> list[Any]:
        return list(tilth.runs(filter, experiment=self.name, limit=1000))

    def parent(self) -> Any:
        [found] = [row for row in self.runs() if "tilth.sweep" in row.tags]
        return found

    def tag(self, run_id: str, tags: dict[str, str | None]) -> None:
        headers = {"authorization": f"Bearer {self.live.token}"}
        answer = httpx.post(f"{self.live.url}/api/v1/p/default/runs/{run_id}/log", json={"tags": tags}, headers=headers)
        assert answer.status_code == 204, answer.text


@pytest.fixture
def place(live: Any) -> Place:
    return Place(live)


@given(st.integers(), st.integers(1, 10_000))
def test_drawn_values_lie_in_their_space_and_come_again(seed, number):
    space = parse_space({**SPACE, "share": {"uniform": [0.25, 0.5]}, "size": {"int": [32, 256, 32]}, "fixed": 7})
    values = draw(space, seed, number)
    assert 1 <= values["depth"] <= 6
    assert 0.001 <= values["rate"] <= 1.0
    assert 0.25 <= values["share"] <= 0.5
    assert (values["size"] % 32, values["kind"] in ("a", "b"), values["fixed"]) == (0, True, 7)
    assert draw(space, seed, number) == values


def test_a_grid_holds_every_combination_once():
    found = grid(parse_space({"a": [1, 2], "b": {"int": [0, 4, 2]}, "c": {"loguniform": [0.01, 1.0], "points": 3}}))
    assert len(found) == len({tuple(values.values()) for values in found}) == 2 * 3 * 3
    assert sorted({values["c"] for values in found}) == pytest.approx([0.01, 0.1, 1.0])


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({}, "empty"),
        ({"a": []}, "'a'"),
        ({"a": {"uniform": [1, 0]}}, "the lower first"),
        ({"a": {"uniform": [0, math.inf]}}, "finite"),
        ({"a": {"loguniform": [0, 1]}}, "above 0"),
        ({"a": {"int": [1, 2, 0]}}, "step from 1"),
        ({"a": {"normal": [0, 1]}}, "loguniform"),
        ({"../a": 1}, "not allowed"),
        ({"a": [math.nan]}, "finite numbers"),
        ({"a": None}, "'a'"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_with_a_reason(space, says):
    with pytest.raises(InvalidSweep, match=says):
        parse_space(space)


def test_the_median_rule_stops_what_is_worse_than_half_of_the_others():
    reports = Reports(EarlyStopping("median", min_steps=1, min_trials=2), "maximize")
    for trial, values in {1: (0.5, 0.6), 2: (0.5, 0.8)}.items():
        assert not any(reports.add(trial, step, value) for step, value in enumerate(values, 1))
    assert reports.add(3, 1, 0.1)
    assert not reports.add(4, 1, 0.9)


def test_successive_halving_lets_the_best_third_go_on():
    reports = Reports(EarlyStopping("halving", min_steps=1, min_trials=3, factor=3), "minimize")
    stopped = [reports.add(trial, 1, float(trial)) for trial in range(1, 10)]
    assert stopped == [False, False, False, *[True] * 6]
    assert not reports.add(1, 2, 99.0)  # no rung between 1 and 3


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=30))
def test_without_a_rule_nothing_is_stopped(values):
    reports = Reports(None, "maximize")
    assert not any(reports.add(1, step, value) for step, value in enumerate(values))


def test_a_sweep_is_a_run_with_a_run_for_each_trial(place):
    result = place.sweep(bowl, SPACE, metric="score", trials=6, seed=3, name="bowl")
    assert [trial.number for trial in result.trials] == [1, 2, 3, 4, 5, 6]
    assert result.best is not None
    assert result.best.value == max(trial.value for trial in result.trials)
    rows = place.runs(f'parent="{result.id}"')
    assert {row.run.id for row in rows} == {trial.run_id for trial in result.trials}
    assert all(row.run.status == "finished" and "score" in row.metrics and "depth" in row.params for row in rows)
    parent = place.parent()
    assert (parent.run.status, parent.tags["tilth.sweep.state"]) == ("finished", "finished")
    assert parent.tags["tilth.sweep.best"] == result.best.run_id
    assert result.records()[0]["depth"] in range(1, 7)


def test_optuna_finds_a_better_place_than_its_first_guess(place):
    result = place.sweep(bowl, SPACE, metric="score", trials=12, sampler="optuna", seed=1)
    assert result.best is not None
    assert result.best.value >= result.trials[0].value
    assert len({tuple(trial.params.items()) for trial in result.trials}) > 6


def test_a_grid_without_a_number_of_trials_is_run_whole(place):
    result = place.sweep(lambda trial: trial["a"] * trial["b"], {"a": [1, 2], "b": [3, 4]}, sampler="grid", goal="minimize")
    assert ([trial.value for trial in result.trials], result.best.value) == ([3, 4, 6, 8], 3)


def test_trials_run_side_by_side_and_write_to_their_own_runs(place):
    both = threading.Barrier(2, timeout=30)

    def train(trial: Any) -> None:
        both.wait()
        tilth.log(score=trial.number)
        both.wait()

    result = place.sweep(train, {"a": [1, 2, 3]}, metric="score", trials=4, parallel=2)
    assert [trial.value for trial in result.trials] == [1, 2, 3, 4]


def test_a_trial_that_lags_behind_is_stopped_early(place):
    def train(trial: Any) -> None:
        for step in range(10):
            trial.report(trial["level"] + step / 100, step)

    result = place.sweep(
        train, {"level": [5, 4, 3, 2, 1]}, sampler="grid", metric="score", early_stopping={"min_trials": 2, "min_steps": 2}
    )
    assert [trial.stopped for trial in result.trials] == [False, False, True, True, True]
    [late] = place.runs(f'parent="{result.id}" params.level=1')
    assert (late.run.status, late.tags["tilth.sweep.stopped"]) == ("finished", "yes")


def test_a_failing_trial_does_not_end_the_sweep_but_too_many_do(place):
    def train(trial: Any) -> float:
        if trial.number in (2, 5, 6, 7):
            raise ValueError("no rows left")
        return 1.0

    with pytest.raises(TooManyFailures, match="no rows left"):
        place.sweep(train, {"a": [1, 2]}, trials=9, max_failures=3)
    states = Counter(row.run.status for row in place.runs('name~"trial"'))
    assert states == {"finished": 3, "failed": 4}


def test_a_trial_without_its_metric_says_what_it_logged(place):
    result = place.sweep(lambda trial: trial.run.log(loss=1), {"a": [1]}, metric="auc", trials=1)
    assert "loss" in result.trials[0].error
    assert result.best is None


def test_ctrl_c_leaves_a_sweep_that_can_be_gone_on_with(place):
    seen: list[int] = []

    def train(trial: Any) -> float:
        seen.append(trial.number)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return float(trial.number)

    with pytest.raises(KeyboardInterrupt):
        place.sweep(train, SPACE, metric="score", trials=5, seed=9)
    stopped = place.parent()
    assert (stopped.run.status, stopped.tags["tilth.sweep.state"]) == ("killed", "stopped")
    result = place.sweep(train, resume=stopped.run.id)
    assert seen == [1, 2, 3, 3, 4, 5]
    expected = [draw(parse_space(SPACE), 9, number) for number in range(1, 6)]
    assert [trial.params for trial in result.trials] == expected


def test_a_killed_sweep_goes_on_where_it_was(place):
    program = textwrap.dedent(
        """
        import os, signal, tilth
        def train(trial):
            if trial.number == 3:
                trial.run.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return float(trial["depth"])
        tilth.sweep(train, {"depth": {"int": [1, 6]}}, metric="score", trials=4, sampler="optuna", experiment=os.environ["PLACE"])
        """
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], env={**place.live.environment, "PLACE": place.name}, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    parent = place.parent()
    with pytest.raises(SweepTaken, match="alive"):
        place.sweep(lambda trial: 0.0, resume=parent.run.id)
    place.tag(parent.run.id, {"tilth.sweep.runner": "somebody 1"})
    result = place.sweep(lambda trial: float(trial["depth"]), resume=parent.run.id)
    assert [trial.number for trial in result.trials] == [1, 2, 3, 4]
    live = [row for row in place.runs(f'parent="{parent.run.id}"') if "tilth.sweep.replaced" not in row.tags]
    assert Counter(row.tags["tilth.sweep.trial"] for row in live) == {"1": 1, "2": 1, "3": 1, "4": 1}


def test_what_is_no_sweep_or_another_one_cannot_be_gone_on_with(place):
    with tilth.run("plain") as plain:
        pass
    with pytest.raises(NoSweep):
        place.sweep(bowl, resume=plain.id)
    done = place.sweep(bowl, SPACE, metric="score", trials=1)
    with pytest.raises(OtherSweep, match="another space"):
        place.sweep(bowl, {"depth": [1]}, resume=done.id)


def test_a_wish_to_stop_is_obeyed_at_the_next_report(place):
    def train(trial: Any) -> None:
        place.tag(place.parent().run.id, {"tilth.sweep.stop": "ann"})
        for step in range(3000):
            trial.report(0.5, step)
            time.sleep(0.01)

    result = place.sweep(train, {"a": [1]}, metric="score", trials=3)
    assert result.trials == []
    assert [row.run.status for row in place.runs(f'parent="{result.id}"')] == ["killed"]
    assert place.parent().tags["tilth.sweep.state"] == "stopped"
