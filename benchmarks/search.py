"""How long a search takes among ten thousand to a million runs of 20 metrics and 10 params, asked through MLflow's protocol.

Both servers hold the same runs, written straight into their tables; the same client asks both for the first 100 runs. Stock MLflow
stands beside at the smallest size. TILTH_BENCH_RUNS chooses the sizes (10000,100000 unless given; a million takes 11 GB and some
minutes), TILTH_BENCH_POSTGRES_RUNS those on PostgreSQL (10000).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clients import median
from benchmarks.figures import Figure, run_script
from benchmarks.filling import bytes_of_sqlite, fill_mlflow_sqlite, fill_tilth_postgres, fill_tilth_sqlite
from benchmarks.mlflow_calls import Server
from benchmarks.processes import folder, mlflow_server, postgres, tilth_up

QUESTIONS: dict[str, tuple[str, list[str]]] = {
    "m1 > 0.5, by m1": ("metrics.m1 > 0.5", ["metrics.m1 DESC"]),
    "two metrics and a param, broad, by start": (
        "metrics.m1 > 0.5 AND metrics.m2 < 0.5 AND params.p0 = 'v3'",
        ["start_time DESC"],
    ),
    "two metrics and a param, narrow, by start": (
        "metrics.m1 > 0.999 AND metrics.m2 < 0.5 AND params.p0 = 'v3'",
        ["start_time DESC"],
    ),
    "a rare param": ("params.p9 = 'rare'", []),
    "a tag prefix": ("tags.data LIKE 'set-12%'", []),
    "no filter, by m3": ("", ["metrics.m3 DESC"]),
}
PAGE = 100
PROMISED_MS = {10_000: 60, 1_000_000: 150}


def measure(quick: bool) -> list[Figure]:
    sizes = [2000] if quick else chosen("TILTH_BENCH_RUNS", "10000,100000")
    on_postgres = [2000] if quick else chosen("TILTH_BENCH_POSTGRES_RUNS", "10000")
    figures: list[Figure] = []
    for number, runs in enumerate(sizes):
        with folder() as place:
            ours, bytes_a_run = on_sqlite(place, runs, 3 if quick else 20)
            theirs: dict[str, float] = {}
            their_bytes = None
            if number == 0:
                theirs, their_bytes = on_mlflow(place, runs, 1 if quick else 3)
        figures += [
            Figure(
                f"{runs:,} runs: {name}",
                "ms",
                took,
                promised(name, runs),
                "mlflow, SQLite" if theirs else "",
                theirs.get(name),
                note="SQLite",
            )
            for name, took in ours.items()
        ]
        limit = None if their_bytes is None else their_bytes / 2
        figures.append(
            Figure(f"{runs:,} runs: database per run", "bytes", bytes_a_run, limit, "mlflow" if limit else "", their_bytes)
        )
    for runs in on_postgres:
        with folder() as place:
            found = on_a_postgres(place, runs, 3 if quick else 20)
        figures += [Figure(f"{runs:,} runs: {name}", "ms", took, note="PostgreSQL") for name, took in found.items()]
    return figures


def chosen(variable: str, default: str) -> list[int]:
    return [int(size) for size in os.environ.get(variable, default).split(",") if size.strip()]


def promised(name: str, runs: int) -> float | None:
    if runs == 10_000 and name != "m1 > 0.5, by m1":
        return None
    return None if name.startswith("no filter") else PROMISED_MS.get(runs)


def on_sqlite(place: Path, runs: int, times: int) -> tuple[dict[str, float], float]:
    """Milliseconds of each question, and the bytes that a run takes in the database."""
    home = place / "home"
    with tilth_up(home) as running:
        project = running.project
    path = next(home.glob("*.db"))
    empty = bytes_of_sqlite(path)
    fill_tilth_sqlite(path, project, runs)
    size = (bytes_of_sqlite(path) - empty) / runs
    with tilth_up(home) as running:
        return answered(Server("tilth", running.url, running.pid, running.token), times), size


def on_a_postgres(place: Path, runs: int, times: int) -> dict[str, float]:
    """Nothing where the PostgreSQL wheel is not installed."""
    try:
        with postgres(place / "pg") as address:
            with tilth_up(place / "home", TILTH_DATABASE_URL=address) as running:
                project = running.project
            fill_tilth_postgres(address, project, runs)
            with tilth_up(place / "home", TILTH_DATABASE_URL=address) as running:
                return answered(Server("tilth", running.url, running.pid, running.token), times)
    except ImportError:
        return {}


def on_mlflow(place: Path, runs: int, times: int) -> tuple[dict[str, float], float]:
    with mlflow_server(place, "--workers", "1"):
        pass
    path = place / "mlflow.db"
    empty = bytes_of_sqlite(path)
    fill_mlflow_sqlite(path, runs)
    size = (bytes_of_sqlite(path) - empty) / runs
    with mlflow_server(place, "--workers", "1") as peer:
        return answered(Server("mlflow", peer.url, peer.pid), times), size


def answered(server: Server, times: int) -> dict[str, float]:
    """Median milliseconds of each question. Raises AssertionError if an answer is empty where it must not be."""
    took: dict[str, float] = {}
    for name, (text, order) in QUESTIONS.items():
        body = {"experiment_ids": ["0"], "filter": text, "order_by": order, "max_results": PAGE}
        data = server.post("/runs/search", body)
        found: Sequence[object] = server.ask(data).get("runs", [])
        if not found and "narrow" not in name and "rare" not in name:
            raise AssertionError(f"{server.name} found nothing for {text!r}")
        took[name] = median(server.times([data] * (times + 1), warm_up=1).latencies_ms)
    return took


if __name__ == "__main__":
    sys.exit(run_script("search", __doc__ or "", measure))
