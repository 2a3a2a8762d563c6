"""How long a request over a kept-alive connection takes with two server processes on PostgreSQL.

Each of eight connections is asked in turn, one request at a time, so that both processes answer. A listening socket that was made without
its protocol never gets TCP_NODELAY and adds some 40 ms to such answers: ours must stay far below. Beside it `mlflow server --workers 2`
on SQLite, whose time has its own reasons that this script does not take apart.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.clients import Connection, Outcome, one_client, percentile, request
from benchmarks.figures import Figure, run_script
from benchmarks.processes import folder, mlflow_server, postgres, tilth_up

CONNECTIONS = 8


def measure(quick: bool) -> list[Figure]:
    count = 80 if quick else 2000
    with folder() as place:
        health, run = ours(place, count)
        peer_health, peer_run = mlflow(place, min(count, 400))
    peer = "mlflow server, 2 workers"
    return [
        Figure("keep-alive, read a run, p50", "ms", percentile(run, 50), 5, peer, percentile(peer_run, 50)),
        Figure("keep-alive, read a run, p99", "ms", percentile(run, 99), None, peer, percentile(peer_run, 99)),
        Figure("keep-alive, health, p50", "ms", percentile(health, 50), 5, peer, percentile(peer_health, 50)),
    ]


def ours(place: Path, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of /health and of reading a run."""
    with (
        postgres(place / "pg") as address,
        tilth_up(place / "home", TILTH_DATABASE_URL=address, TILTH_CONTROL_PROCESSES="2") as running,
    ):
        connections = [Connection(running.url) for _ in range(CONNECTIONS)]
        runs = f"/api/v1/p/{running.project}/runs"
        body = json.dumps({"name": "asked"}).encode()
        made = connections[0].ask(request(running.url, "POST", runs, body, running.token))
        path = f"{runs}/{json.loads(made.body)['id']}"
        health = in_turns(connections, request(running.url, "GET", "/api/v1/health"), count)
        return health, in_turns(connections, request(running.url, "GET", path, token=running.token), count)


def mlflow(place: Path, count: int) -> tuple[list[float], list[float]]:
    with mlflow_server(place, "--workers", "2") as peer:
        connections = [Connection(peer.url) for _ in range(CONNECTIONS)]
        body = json.dumps({"experiment_id": "0", "start_time": 0}).encode()
        made = connections[0].ask(request(peer.url, "POST", "/api/2.0/mlflow/runs/create", body))
        path = f"/api/2.0/mlflow/runs/get?run_id={json.loads(made.body)['run']['info']['run_id']}"
        health = in_turns(connections, request(peer.url, "GET", "/health"), count)
        return health, in_turns(connections, request(peer.url, "GET", path), count)


def in_turns(connections: list[Connection], data: bytes, count: int) -> list[float]:
    """Milliseconds of each of `count` requests, after one on each connection that does not count."""
    outcome = Outcome()
    for connection in connections:
        one_client(connection, [data])
    for number in range(count):
        asked = one_client(connections[number % len(connections)], [data])
        outcome.latencies_ms += asked.latencies_ms
        if asked.failed:
            raise AssertionError(f"a request failed: {asked.errors}")
    return outcome.latencies_ms


if __name__ == "__main__":
    sys.exit(run_script("keepalive", __doc__ or "", measure))
