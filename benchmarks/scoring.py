"""Batch scoring: flights of a week of April, over and over to a million rows of Parquet, by `tilth score` into a Parquet file.

Two processes, compiled, run and lineage included, from the command to its end. Beside it a program that does the same by
`mlflow.pyfunc.load_model(...).predict` over pandas, whose gradient boosting uses both cores. Memory is the greatest RSS of all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep

import polars as pl
import psutil

from benchmarks.clients import median
from benchmarks.demo_model import NAME, deploy_in
from benchmarks.figures import Figure, run_script
from benchmarks.processes import environment, folder, program, tilth_up
from tilth.wire.plane import CACHE_FOLDER

PROCESSES = 2
ROWS = 1_000_000
PROMISED_PER_MINUTE = 1_000_000
PEER = """
import sys
import mlflow.pyfunc
import pandas as pd

rows = pd.read_parquet(sys.argv[2])
model = mlflow.pyfunc.load_model(sys.argv[1])
rows["probability"] = model.predict(rows)[:, 1]
rows.to_parquet(sys.argv[3])
"""


def measure(quick: bool) -> list[Figure]:
    rows, passes = (20_000, 1) if quick else (ROWS, 3)
    with folder() as place, tilth_up(place / "home") as running:
        bodies = deploy_in(running, quick)
        flights = place / "flights.parquet"
        write_flights(flights, bodies, rows)
        variables = environment(TILTH_HOME=str(running.home))
        words = [program("tilth"), "score", f"{NAME}@champion", "--in", str(flights), "--processes", str(PROCESSES), "--json"]
        ours = [timed([*words, "--out", str(place / f"scores-{number}.parquet")], variables) for number in range(passes)]
        few = place / "few.parquet"
        write_flights(few, bodies, rows // 10)
        model = next(path.parent for path in (running.home / CACHE_FOLDER).rglob("MLmodel"))
        peer = timed([sys.executable, "-c", PEER, str(model), str(few), str(place / "peer.parquet")], environment())
    per_minute = median([60 * rows / seconds for seconds, _ in ours])
    memory = max(megabytes for _, megabytes in ours)
    return [
        Figure(
            "batch scoring, 2 processes",
            "rows/min",
            per_minute,
            PROMISED_PER_MINUTE,
            "mlflow.pyfunc over pandas" if peer[0] else "",
            60 * (rows // 10) / peer[0] if peer[0] else None,
            higher_is_better=True,
            note=f"{rows:,} rows; the peer {rows // 10:,}",
        ),
        Figure("batch scoring, memory of all processes", "MB", memory, None, "the peer", peer[1]),
    ]


def write_flights(path: Path, bodies: Sequence[bytes], rows: int) -> None:
    """The flights that the bodies ask for, over and over."""
    splits = [json.loads(body)["dataframe_split"] for body in bodies]
    known = pl.DataFrame(
        [row for split in splits for row in split["data"]], schema=splits[0]["columns"], orient="row", infer_schema_length=None
    )
    pl.concat([known] * (rows // len(known) + 1)).head(rows).write_parquet(path)


def timed(words: Sequence[str], variables: dict[str, str]) -> tuple[float, float]:
    """Seconds and the greatest sum of RSS in MB of the command and what it started. Raises AssertionError if it fails."""
    began, greatest = perf_counter(), 0.0
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            greatest = max(greatest, weight(child.pid))
            sleep(0.05)
        seconds = perf_counter() - began
        if child.returncode:
            assert child.stderr is not None
            raise AssertionError(f"{words[0]} failed: {child.stderr.read()[-600:]}")
    return seconds, greatest


def weight(pid: int) -> float:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:
        return 0.0
    return total / 1e6


if __name__ == "__main__":
    sys.exit(run_script("scoring", __doc__ or "", measure))
