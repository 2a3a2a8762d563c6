"""How many single metrics 16 HTTP clients get acknowledged per second, each of them on disk before its answer; and how long one waits.

Every client is one keep-alive connection with a run of its own, and sends its next metric once the last is acknowledged. Ours on SQLite
(the default) and on PostgreSQL, the peer `mlflow server --workers 1` on SQLite, all driven by the same client process on the same cores.
Afterwards the stored points are counted: as many as were acknowledged, or the script fails.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter, time

from benchmarks.clients import Connection, Next, Outcome, many_clients, median, request
from benchmarks.figures import Figure, run_script
from benchmarks.processes import Tilth, cpu_s, folder, mlflow_server, postgres, tilth_up

CLIENTS = 16
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Passes:
    """Of one system. cpu_ms: CPU time of all its processes for each acknowledged metric. acknowledged: in all, the warm-up included.
    failures: kinds of error over all passes.
    """

    outcomes: Sequence[Outcome]
    cpu_ms: float
    acknowledged: int

    @property
    def per_s(self) -> float:
        return median([outcome.per_s for outcome in self.outcomes])

    def p(self, percent: float) -> float:
        return median([outcome.p(percent) for outcome in self.outcomes])

    @property
    def failures(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for outcome in self.outcomes:
            for kind, times in outcome.errors.items():
                total[kind] = total.get(kind, 0) + times
        return total


def measure(quick: bool) -> list[Figure]:
    passes, seconds = (1, 1.0) if quick else (5, 5.0)
    with folder() as place:
        sync_ms = one_sync_ms(place)
        with tilth_up(place / "home") as running:
            ours = log_to_tilth(running, passes, seconds)
        theirs = log_to_mlflow(place, min(passes, 2), seconds)
        on_postgres = log_on_postgres(place, passes, seconds)
    peer = "mlflow, SQLite"
    figures = [
        Figure(
            "metrics acknowledged, SQLite", "/s", ours.per_s, 4000, peer, theirs.per_s, True, f"one fdatasync: {sync_ms:.2f} ms"
        ),
        Figure("metrics, SQLite, p50", "ms", ours.p(50), None, peer, theirs.p(50)),
        Figure("metrics, SQLite, p99", "ms", ours.p(99), 25, peer, theirs.p(99)),
        Figure("CPU per metric, SQLite", "ms", ours.cpu_ms, None, peer, theirs.cpu_ms),
        Figure(
            "metrics, SQLite, errors", "", sum(ours.failures.values()), 0, peer, sum(theirs.failures.values()), note=said(ours)
        ),
    ]
    if on_postgres is not None:
        errors = sum(on_postgres.failures.values())
        figures += [
            Figure(
                "metrics acknowledged, PostgreSQL", "/s", on_postgres.per_s, None, peer, theirs.per_s, True, said(on_postgres)
            ),
            Figure("metrics, PostgreSQL, p50", "ms", on_postgres.p(50), None, peer, theirs.p(50)),
            Figure("metrics, PostgreSQL, p99", "ms", on_postgres.p(99), None, peer, theirs.p(99), note=f"{errors} errors"),
        ]
    return figures


def said(passes: Passes) -> str:
    return "; ".join(f"{times} x {kind[:80]}" for kind, times in passes.failures.items())


def one_sync_ms(place: Path) -> float:
    """What the disk asks for one fdatasync of 4 KiB: median of 50."""
    descriptor = os.open(place / "sync", os.O_WRONLY | os.O_CREAT)
    waits = []
    for _ in range(50):
        os.write(descriptor, bytes(4096))
        begun = perf_counter()
        os.fdatasync(descriptor)
        waits.append((perf_counter() - begun) * 1e3)
    os.close(descriptor)
    return median(waits)


def log_to_tilth(running: Tilth, passes: int, seconds: float) -> Passes:
    """16 runs, a metric at a time. Raises AssertionError if other points are stored than were acknowledged."""
    connection = Connection(running.url)
    base = f"/api/v1/p/{running.project}/runs"

    def ask(method: str, path: str, body: object = None) -> dict[str, object]:
        data = b"" if body is None else json.dumps(body).encode()
        answer = connection.ask(request(running.url, method, path, data, running.token))
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body[:300].decode(errors='replace')}")
        found: dict[str, object] = json.loads(answer.body)
        return found

    runs = [str(ask("POST", base, {"name": f"client-{number}"})["id"]) for number in range(CLIENTS)]

    def metric(run: str) -> Callable[[int], bytes]:
        return lambda step: request(
            running.url,
            "POST",
            f"{base}/{run}/log",
            b'{"metrics":[{"key":"loss","value":%.6f,"step":%d}]}' % (1 / (step + 1), step),
            running.token,
        )

    driven = drive(running.url, running.pid, [counted(metric(run)) for run in runs], passes, seconds)
    stored = 0
    for run in runs:
        total = ask("GET", f"{base}/{run}/metrics/loss")["total"]
        assert isinstance(total, int)
        stored += total
    connection.close()
    if stored != driven.acknowledged:
        raise AssertionError(f"{driven.acknowledged} metrics were acknowledged and {stored} are stored")
    return driven


def log_to_mlflow(place: Path, passes: int, seconds: float) -> Passes:
    with mlflow_server(place, "--workers", "1") as peer:
        connection = Connection(peer.url)
        runs = []
        for number in range(CLIENTS):
            body = json.dumps({"experiment_id": "0", "run_name": f"client-{number}", "start_time": round(time() * 1000)}).encode()
            answer = connection.ask(request(peer.url, "POST", "/api/2.0/mlflow/runs/create", body))
            runs.append(json.loads(answer.body)["run"]["info"]["run_id"])
        connection.close()
        start = round(time() * 1000)

        def metric(run: str) -> Callable[[int], bytes]:
            text = '{"run_id":"%s","key":"loss","value":%.6f,"timestamp":%d,"step":%d}'
            return lambda step: request(
                peer.url,
                "POST",
                "/api/2.0/mlflow/runs/log-metric",
                (text % (run, 1 / (step + 1), start + step, step)).encode(),
            )

        return drive(peer.url, peer.pid, [counted(metric(run)) for run in runs], passes, seconds)


def log_on_postgres(place: Path, passes: int, seconds: float) -> Passes | None:
    """None where the PostgreSQL wheel is not installed."""
    try:
        with postgres(place / "pg") as address, tilth_up(place / "home-pg", TILTH_DATABASE_URL=address) as running:
            return log_to_tilth(running, passes, seconds)
    except ImportError:
        return None


def counted(make: Callable[[int], bytes]) -> Next:
    """Requests for steps 0, 1, 2, ... without end."""
    steps = count()
    return lambda: make(next(steps))


def drive(url: str, pid: int, clients: Sequence[Next], passes: int, seconds: float) -> Passes:
    """A short warm-up and then the passes. pid: of the server, for its CPU time."""
    warm_up = many_clients(url, clients, WARM_UP_S)
    used = cpu_s(pid)
    outcomes = [many_clients(url, clients, seconds) for _ in range(passes)]
    good = sum(len(outcome.latencies_ms) for outcome in outcomes)
    return Passes(outcomes, 1e3 * (cpu_s(pid) - used) / max(1, good), good + len(warm_up.latencies_ms))


if __name__ == "__main__":
    sys.exit(run_script("writes", __doc__ or "", measure))
