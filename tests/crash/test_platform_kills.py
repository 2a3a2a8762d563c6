"""A whole installation under load, whose processes are killed: what was acknowledged is there, and nothing partial is."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.conftest import Server, start_server
from tests.crash.load import Load, Program, points
from tests.journeys.steps import (
    alive,
    answers,
    check_it_is_sound,
    children_of,
    controls,
    kept_predictions,
    train_and_deploy,
    wait_until,
    workers,
)


class Installation:
    """A server that is started again at the same addresses when its supervisor was killed."""

    def __init__(self, home: Path) -> None:
        self.server = start_server(home)

    def kill_control(self) -> None:
        (control,) = controls(self.server)
        os.kill(control, signal.SIGKILL)
        wait_until(lambda: control not in controls(self.server) and controls(self.server), "another control process")
        wait_until(lambda: answers(self.server), "control to answer at its old address")

    def kill_worker(self) -> None:
        victim = random.choice(workers(self.server))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in workers(self.server) and workers(self.server), "another worker")

    def kill_supervisor(self, hung: Callable[[Server], list[int]] = lambda server: []) -> None:
        """hung: children that are stopped before, so that they answer to nothing milder than SIGKILL."""
        children = children_of(self.server.process.pid)
        for pid in hung(self.server):
            os.kill(pid, signal.SIGSTOP)
        self.server.process.kill()
        self.server.stop()
        wait_until(lambda: not any(map(alive, children)), "the children to end with their supervisor")
        ports = [address.rpartition(":")[2] for address in (self.server.url, self.server.serve_url)]
        self.server = start_server(self.server.home, "--port", ports[0], "--serve-port", ports[1])


def check_nothing_is_lost(server: Server, load: Load) -> None:
    assert load.surprises == []
    for client, acknowledged in load.acknowledged.items():
        left, right = (points(server.home, load.run_id, f"{side}-{client}") for side in ("left", "right"))
        assert left == right, "half of a batch is there"
        assert len(left) == len(set(left)), "a batch is there twice"
        assert acknowledged <= set(left) <= load.attempted[client]
    with server.client(timeout=60) as client:
        address = f"/api/v1/p/default/runs/{load.run_id}/artifacts"
        listed = {entry["path"]: entry["digest"] for entry in client.get(address, params={"recursive": True}).json()["files"]}
        assert listed.items() >= load.artifacts.items()
        for path, digest in listed.items():
            assert hashlib.sha256(client.get(f"{address}/{path}").content).hexdigest() == digest, path
    kept = kept_predictions(server)
    assert not [id_ for id_, answer in load.predicted.items() if kept.get(id_) != msgspec.json.decode(answer)["predictions"]]
    with closing(sqlite3.connect(server.home / "tilth.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def predictions_go_on_without_control(installation: Installation, load: Load) -> None:
    """Stopped first: what is on its way is held up as by a control process that hangs; then it dies."""
    (control,) = controls(installation.server)
    os.kill(control, signal.SIGSTOP)
    before, missed = len(load.predicted), load.missed_predictions
    wait_until(lambda: len(load.predicted) > before + 20, "predictions while control hangs")
    installation.kill_control()
    load.wait_for_more()
    assert load.missed_predictions == missed


def one_hung_control_process_and_worker(server: Server) -> list[int]:
    return [*controls(server), *workers(server)[:1]]


def campaign(home: Path, *blows: Callable[[Installation, Load], None]) -> None:
    installation = Installation(home)
    program, load = None, None
    try:
        trained = train_and_deploy(installation.server)
        program, load = Program(installation.server), Load(installation.server, trained.run)
        load.wait_for_more()
        for blow in blows:
            blow(installation, load)
            load.wait_for_more()
        load.end()
        logged = program.end()
        assert points(home, program.run_id, "steady") == list(range(logged))
        check_nothing_is_lost(installation.server, load)
        check_it_is_sound(installation.server)
        children = children_of(installation.server.process.pid)
        assert installation.server.stop() == 0
        assert not any(map(alive, children))
    finally:
        if load is not None:
            load.end()
        if program is not None:
            program.kill()
        installation.server.stop()


def test_kills_of_every_kind_of_process_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    campaign(
        tmp_path / "home",
        predictions_go_on_without_control,
        lambda installation, load: installation.kill_worker(),
        lambda installation, load: installation.kill_supervisor(one_hung_control_process_and_worker),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_many_kills_at_random_moments_lose_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed).choices(["kill_control", "kill_control", "kill_worker", "kill_supervisor"], k=6)
    campaign(tmp_path / "home", *(lambda installation, load, kill=kill: getattr(installation, kill)() for kill in chosen))
