"""Rollouts on real flights with whole servers: a worse model goes back by itself, a good one comes to serve all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from examples.flight_delay.asking import bodies
from examples.flight_delay.data import between, flights_with_weather
from examples.flight_delay.features import features
from examples.flight_delay.rolling import roll_out, train_on_shuffled
from examples.flight_delay.training import PARAMS, Split, split_by_day, train
from tests.conftest import Server, start_server

import tilth
from tilth.sdk.connection import forget

NAME = "flight-delay"
STEPS = (10, 50, 100)


@dataclass
class Flights:
    server: Server
    split: Split
    requests: list[bytes]

    @property
    def url(self) -> str:
        return f"{self.server.serve_url}/p/default/deployments/{NAME}/invocations"

    def connect(self) -> None:
        tilth.init(url=self.server.url, token=self.server.token, project="default")

    def log(self, model: object) -> int:
        found = tilth.log_model(
            model, name=NAME, example=self.split.X.head(5), unseen={"dest": "missing", "carrier": "missing"}, register=True
        )
        assert found.version is not None
        return found.version


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    """A server with version 1, an honest model, deployed as `flight-delay`."""
    found = flights_with_weather()
    split = split_by_day(between(found, "2013-01-01", "2013-02-15"))
    asked = between(found, "2013-04-01", "2013-04-03")
    server = start_server(tmp_path_factory.mktemp("rollout") / "home")
    try:
        made = Flights(server, split, bodies(features(asked, split.known)))
        made.connect()
        made.log(train(split, {**PARAMS, "max_iter": 60}).model)
        tilth.deploy(f"{NAME}/1", wait=True)
        yield made
    finally:
        forget()
        server.stop()


@pytest.fixture
def there(flights: Flights) -> Iterator[Flights]:
    flights.connect()
    yield flights
    forget()


def control_process(server: Server) -> psutil.Process:
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(child for child in children if any("tilth.app" in part for part in child.cmdline()))


def test_a_worse_model_rolls_itself_back_and_says_why(there: Flights, tmp_path: Path) -> None:
    worse = there.log(train_on_shuffled(there.split).model)
    going = tilth.rollout(
        f"{NAME}/{worse}", steps=STEPS, bake_s=1, min_requests=100, guardrails={"max_p99_ms": None, "max_p99_ratio": None}
    )
    ended, asked = roll_out(going, there.url, there.server.token, there.requests)
    assert (ended.state, ended.step) == ("rolled_back", 0)
    assert "away from the champion's" in ended.reason
    assert asked > 100
    live = tilth.deploy(f"{NAME}/{ended.champion}", wait=True)
    assert [(route.version, route.share) for route in live.routes] == [(ended.champion, 1.0)]
    shown = there.server.tilth("rollout", "show", NAME)
    assert "rolled back" in shown.stdout
    assert "score_psi" in shown.stdout
    assert there.server.tilth("rollout", "watch", NAME).returncode == 1


def test_a_good_model_comes_to_serve_all_even_if_the_control_process_is_killed_on_the_way(there: Flights) -> None:
    better = there.log(train(there.split, {**PARAMS, "max_iter": 80}).model)
    going = tilth.rollout(
        f"{NAME}/{better}", steps=STEPS, bake_s=1, min_requests=100, guardrails={"max_p99_ms": None, "max_p99_ratio": None}
    )
    os.kill(control_process(there.server).pid, signal.SIGKILL)
    ended, _ = roll_out(going, there.url, there.server.token, there.requests, within_s=90)
    assert ended.state == "finished", ended.reason
    assert [step.state for step in ended.steps] == ["passed"] * 3
    live = tilth.deploy(f"{NAME}/{better}", wait=True)
    assert live.version == better
    assert there.server.tilth("rollout", "watch", NAME).returncode == 0
