"""What a training script waits for, through MLflow's protocol: stock `mlflow server --workers 1` on SQLite and ours on both databases.

One client makes runs, logs metrics, reads runs; ten clients log at once; batches of 1,000 points; the history of 100,000 points; a file
of 100 MB up and down, with the memory that the server grows by meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

from benchmarks.clients import Connection, Next, many_clients, median, request
from benchmarks.figures import Figure, run_script
from benchmarks.mlflow_calls import Server
from benchmarks.processes import folder, mlflow_server, postgres, tilth_up, weigh

START = 1_700_000_000_000
CLIENTS = 10
BATCH = 1000
PAGE = 25_000
FILE_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Counts:
    singles: int
    seconds: float
    batches: int
    points: int
    file_bytes: int


def measure(quick: bool) -> list[Figure]:
    counts = Counts(20, 1.0, 3, 5_000, 5_000_000) if quick else Counts(200, 5.0, 20, 100_000, FILE_BYTES)
    with folder() as place:
        with tilth_up(place / "home") as running:
            ours = measured(Server("tilth", running.url, running.pid, running.token), counts, place)
        with postgres(place / "pg") as address, tilth_up(place / "home-pg", TILTH_DATABASE_URL=address) as running:
            on_postgres = measured(Server("tilth", running.url, running.pid, running.token), counts, place)
        with mlflow_server(place, "--workers", "1") as peer:
            theirs = measured(Server("mlflow", peer.url, peer.pid), counts, place)
    beside = [
        Figure(what, UNITS[what][0], on_postgres[what], None, "", None, UNITS[what][0].endswith("/s"), "PostgreSQL")
        for what in on_postgres
        if what not in ("a file up", "a file down", "memory while a file goes up and down")
    ]
    return [figure(what, ours[what], theirs[what]) for what in ours] + beside


def figure(what: str, ours: float, theirs: float) -> Figure:
    """The promise is a part of what the peer needs in the same run, but for the rate of ten clients."""
    unit, part = UNITS[what]
    higher = unit.endswith("/s")
    if what == "metrics of ten clients":
        limit: float | None = 3000.0
    elif part is None:
        limit = None
    else:
        limit = theirs * part
    return Figure(what, unit, ours, limit, "mlflow --workers 1", theirs, higher)


UNITS: dict[str, tuple[str, float | None]] = {
    "create a run, p50": ("ms", 1 / 4),
    "log a metric, p50": ("ms", 1 / 4),
    "read a run, p50": ("ms", 1 / 4),
    "metrics of ten clients": ("/s", None),
    "a batch of 1,000 points, p50": ("ms", 1 / 5),
    "a history, all pages": ("ms", 1 / 10),
    "a file up": ("MB/s", 1.0),
    "a file down": ("MB/s", 1.0),
    "memory while a file goes up and down": ("MB", None),
}


def measured(server: Server, counts: Counts, place: Path) -> dict[str, float]:
    run = server.new_run()
    found = {
        "create a run, p50": alone(
            server, counts, lambda n: server.post("/runs/create", {"experiment_id": "0", "start_time": START + n})
        ),
        "log a metric, p50": alone(server, counts, lambda n: server.post("/runs/log-metric", point(run, n))),
        "read a run, p50": alone(server, counts, lambda n: server.get("/runs/get", run_id=run)),
        "metrics of ten clients": together(server, counts.seconds),
        "a batch of 1,000 points, p50": batches(server, counts.batches),
        "a history, all pages": history(server, counts.points),
    }
    return found | files(server, counts.file_bytes, place)


def point(run: str, step: int) -> dict[str, object]:
    return {"run_id": run, "key": "loss", "value": 1 / (step + 1), "timestamp": START + step, "step": step}


def alone(server: Server, counts: Counts, make: Callable[[int], bytes]) -> float:
    """Median milliseconds of one client."""
    return median(server.times([make(n) for n in range(counts.singles + 5)], warm_up=5).latencies_ms)


def together(server: Server, seconds: float) -> float:
    """Metrics per second of ten clients, each with a run of its own. Raises AssertionError if one is refused."""

    def client() -> Next:
        run, steps = server.new_run(), count()
        return lambda: server.post("/runs/log-metric", point(run, next(steps)))

    clients = [client() for _ in range(CLIENTS)]
    many_clients(server.url, clients, seconds / 5)
    outcome = many_clients(server.url, clients, seconds)
    if outcome.failed:
        raise AssertionError(f"{server.name}: {outcome.errors}")
    return outcome.per_s


def batches(server: Server, times: int) -> float:
    run = server.new_run()
    return median(server.times([batch(server, run, n * BATCH) for n in range(times + 1)], warm_up=1).latencies_ms)


def batch(server: Server, run: str, first: int) -> bytes:
    points = [
        {"key": "loss", "value": 1 / (step + 1), "timestamp": START + step, "step": step} for step in range(first, first + BATCH)
    ]
    return server.post("/runs/log-batch", {"run_id": run, "metrics": points})


def history(server: Server, points: int) -> float:
    """Milliseconds for every point of a metric, page by page. Raises AssertionError if some are missing."""
    run = server.new_run()
    server.times([batch(server, run, first) for first in range(0, points, BATCH)], warm_up=0)
    begun, seen, token = perf_counter(), 0, ""
    while True:
        asked = {"run_id": run, "metric_key": "loss", "max_results": PAGE, **({"page_token": token} if token else {})}
        page = server.ask(server.get("/metrics/get-history", **asked))
        seen += len(page.get("metrics", []))
        token = page.get("next_page_token", "")
        if not token:
            break
    took = (perf_counter() - begun) * 1e3
    if seen != points:
        raise AssertionError(f"{server.name}: {seen} of {points} points came back")
    return took


def files(server: Server, size: int, place: Path) -> dict[str, float]:
    """MB/s up and down through the artifact proxy, and how much the server's memory grew at most meanwhile."""
    run = server.new_run()
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/weights.bin"
    body = os.urandom(1_000_000) * (size // 1_000_000)
    before = weigh(server.pid).pss_mb
    with Peak(server.pid) as peak:
        up = timed(server, request(server.url, "PUT", path, body, server.token), len(body))
        down = timed(server, request(server.url, "GET", path, b"", server.token), len(body), received=body)
    return {"a file up": up, "a file down": down, "memory while a file goes up and down": max(0.0, peak.pss_mb - before)}


def timed(server: Server, data: bytes, size: int, received: bytes | None = None) -> float:
    connection = Connection(server.url)
    try:
        begun = perf_counter()
        answer = connection.ask(data)
        took = perf_counter() - begun
    finally:
        connection.close()
    if answer.status >= 300 or (received is not None and answer.body != received):
        raise AssertionError(f"{server.name}: {answer.status} {answer.body[:200].decode(errors='replace')}")
    return size / 1e6 / took


class Peak:
    """Looks at the memory of a process tree twenty times a second."""

    def __init__(self, pid: int) -> None:
        self.pss_mb = 0.0
        self._pid = pid
        self._done = Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.05):
            self.pss_mb = max(self.pss_mb, weigh(self._pid).pss_mb)


if __name__ == "__main__":
    sys.exit(run_script("tracking", __doc__ or "", measure))
