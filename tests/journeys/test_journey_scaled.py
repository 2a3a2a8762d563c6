"""The same journey on PostgreSQL and S3 with two control processes: nothing but the configuration differs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from tests.conftest import Server, start_server
from tests.journeys.steps import (
    alive,
    at_once,
    check_everything_answers,
    check_it_is_sound,
    children_of,
    controls,
    state_of,
    train_and_deploy,
    wait_until,
    workers,
)

from tilth.backends.sql import Database, Tx, open_database, outbox
from tilth.wire.plane import PlaneState

pytestmark = pytest.mark.postgres
PROJECTS = 12


@contextmanager
def watched_states(home: Path) -> Iterator[list[PlaneState]]:
    """Every different state that the model servers could have seen meanwhile, as they came."""
    seen: list[PlaneState] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            state = state_of(home)
            if not seen or seen[-1] != state:
                seen.append(state)
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    done.set()
    thread.join()


def test_the_journey_goes_the_same_way_on_postgresql_and_s3_with_two_control_processes(
    tmp_path: Path, scaled: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in scaled.items():
        monkeypatch.setenv(name, value)
    server = start_server(tmp_path / "home", environment={"TILTH_CONTROL_PROCESSES": "2"})
    try:
        assert len(controls(server)) == 2
        done = train_and_deploy(server)
        check_everything_answers(server, done)
        both_processes_answer_kept_connections(server)
        database = open_database(scaled["TILTH_DATABASE_URL"])
        try:
            each_event_has_its_effect_once(server, database)
            of_many_who_want_the_same_one_wins(server)
            the_published_states_follow_one_another(server)
        finally:
            database.close()
        check_it_is_sound(server)
        for pid in workers(server):
            known = Path(f"/proc/{pid}/environ").read_bytes()
            assert not [secret for secret in (b"postgresql://", b"AWS_SECRET_ACCESS_KEY=") if secret in known]
        assert not (server.home / "tilth.db").exists()
        assert not [path for path in (server.home / "blobs").rglob("*") if path.is_file()]
        children = children_of(server.process.pid)
    finally:
        assert server.stop() == 0
    assert not any(alive(pid) for pid in children)


def both_processes_answer_kept_connections(server: Server) -> None:
    """Each of many kept connections belongs to one process and sees at once what the others wrote."""
    clients = [server.client(timeout=30) for _ in range(24)]
    try:
        made = clients[0].post("/api/v1/p/default/runs", json={"name": "shared"}).json()["id"]
        for number, client in enumerate(clients):
            batch = {"metrics": [{"key": "x", "value": number, "step": number}]}
            assert client.post(f"/api/v1/p/default/runs/{made}/log", json=batch).is_success
            (metric,) = clients[number - 1].get(f"/api/v1/p/default/runs/{made}").json()["metrics"]
            assert (metric["value"], metric["count"]) == (number, number + 1)
        port = httpx.URL(server.url).port
        held = Counter(
            pid
            for pid in controls(server)
            for connection in psutil.Process(pid).net_connections("tcp")
            if connection.status == "ESTABLISHED" and connection.laddr.port == port
        )
        assert set(held) == set(controls(server)), held
    finally:
        for client in clients:
            client.close()


def each_event_has_its_effect_once(server: Server, database: Database) -> None:
    """Both processes look for events; every new project gets its one experiment, and no event stays or is given up."""
    with server.client(timeout=30) as client:
        names = [f"team-{number}" for number in range(PROJECTS)]
        for name in names:
            assert client.post("/api/v1/projects", json={"name": name}).status_code == 201

        def waiting(tx: Tx) -> tuple[int, int]:
            return outbox.waiting(tx), len(outbox.dead_letters(tx))

        wait_until(lambda: database.read_blocking(waiting) == (0, 0), "the outbox to be empty")
        for name in names:
            (experiment,) = client.get(f"/api/v1/p/{name}/experiments").json()["experiments"]
            assert experiment["name"] == "Default"


def of_many_who_want_the_same_one_wins(server: Server) -> None:
    """Over two processes, so that only the database can tell who came first."""
    with server.client(timeout=30) as client:
        run = client.post("/api/v1/p/default/runs", json={"name": "contested"}).json()["id"]

    def ask(number: int) -> list[httpx.Response]:
        with server.client(timeout=30) as own:
            log = own.post(f"/api/v1/p/default/runs/{run}/log", json={"params": {"depth": str(number)}})
            project = own.post("/api/v1/projects", json={"name": "contested"})
            deployment = own.put("/api/v1/p/default/deployments/contested", json={"model": "delay", "version": 1})
            return [log, project, deployment]

    logs, projects, deployments = zip(*at_once(6, ask), strict=True)
    for answers in (logs, projects):
        assert Counter(answer.is_success for answer in answers) == {True: 1, False: 5}
        for answer in answers:
            assert answer.is_success or answer.status_code == 409, answer.text
            assert answer.is_success or any(word in answer.text for word in ("'depth'", "'contested' exists already")), (
                answer.text
            )
    assert {answer.status_code for answer in deployments} <= {200, 201}, [answer.text for answer in deployments]
    assert {answer.json()["generation"] for answer in deployments} == {1}


def the_published_states_follow_one_another(server: Server) -> None:
    """Two processes publish into one home: the sequence only grows, every state is newer, and without a change there is none."""
    with server.client(timeout=30) as client, watched_states(server.home) as seen:
        for number in range(6):
            answer = client.put(f"/api/v1/p/default/deployments/d{number}", json={"model": "delay", "version": 1})
            assert answer.is_success, answer.text
            time.sleep(0.1)
        wait_until(lambda: len(seen[-1].deployments) == 8, "the last deployment to be published")
        settled = len(seen)
        time.sleep(2.5)
        assert len(seen) == settled
    sequences = [state.sequence for state in seen]
    assert sequences == sorted(set(sequences))
    counts = [len(state.deployments) for state in seen]
    assert counts == sorted(counts)
