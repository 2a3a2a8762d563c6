"""Clients that write to a whole installation while it is killed, and remember exactly what they were told is safe."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
from tests.conftest import Server

ROWS = {"dataframe_records": [{"wind": 3.0, "hour": 20, "origin": "EWR"}]}
SDK_PROGRAM = """
import sys, time, tilth
with tilth.run("steady") as run:
    print(run.id, flush=True)
    step = 0
    while not sys.stdin.closed and step < 100_000:
        run.log(steady=step, step=step)
        step += 1
        time.sleep(0.01)
        if step % 10 == 0 and __import__("select").select([sys.stdin], [], [], 0)[0]:
            break
print(step, flush=True)
"""


class Load:
    """Threads that log pairs of metrics, upload artifacts and ask for predictions until `end`, over every restart.

    attempted, acknowledged: steps of the metrics; artifacts: path to digest, acknowledged ones; predicted: prediction id to answer.
    A thread never repeats a step or a path: what was not acknowledged may be there or not, but at most once and never in part.
    """

    def __init__(self, server: Server, run_id: str) -> None:
        self.url, self.serve_url, self.token, self.run_id = server.url, server.serve_url, server.token, run_id
        self.attempted: dict[str, set[int]] = {}
        self.acknowledged: dict[str, set[int]] = {}
        self.artifacts: dict[str, str] = {}
        self.predicted: dict[str, bytes] = {}
        self.surprises: list[str] = []
        self.missed_predictions = 0
        self._stop = threading.Event()
        works = [self._log_pairs, self._log_pairs, self._upload, self._ask, self._ask]
        self._threads = [threading.Thread(target=self._keep, args=(work, number)) for number, work in enumerate(works)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, seconds_at_most: float = 30.0) -> None:
        """Until every kind of client was acknowledged a few times more."""
        before = self._counts()
        end = time.monotonic() + seconds_at_most
        while any(now < then + 3 for now, then in zip(self._counts(), before, strict=True)):
            assert time.monotonic() < end, f"nobody is served: {before} then, {self._counts()} now; {self.surprises[:3]}"
            time.sleep(0.02)

    def _counts(self) -> list[int]:
        return [sum(map(len, self.acknowledged.values())), len(self.artifacts), len(self.predicted)]

    def _keep(self, work: Callable[[httpx.Client, int, int], None], number: int) -> None:
        url = self.serve_url if work == self._ask else self.url
        turn = 0
        while not self._stop.is_set():
            with httpx.Client(base_url=url, headers={"authorization": f"Bearer {self.token}"}, timeout=10) as client:
                try:
                    while not self._stop.is_set():
                        turn += 1
                        work(client, number, turn)
                except httpx.TransportError:
                    if work == self._ask:
                        self.missed_predictions += 1
                    time.sleep(0.05)

    def _log_pairs(self, client: httpx.Client, number: int, turn: int) -> None:
        self.attempted.setdefault(f"{number}", set()).add(turn)
        pair = [{"key": f"{side}-{number}", "value": turn, "step": turn} for side in ("left", "right")]
        answer = client.post(f"/api/v1/p/default/runs/{self.run_id}/log", json={"metrics": pair})
        if self._fine(answer):
            self.acknowledged.setdefault(f"{number}", set()).add(turn)

    def _upload(self, client: httpx.Client, number: int, turn: int) -> None:
        data = random.randbytes(random.choice([100, 40_000, 1_500_000]))
        path, digest = f"made/{turn}.bin", hashlib.sha256(data).hexdigest()
        address = f"/api/v1/p/default/runs/{self.run_id}/artifacts/{path}"
        if self._fine(client.put(address, content=data, headers={"x-tilth-sha256": digest})):
            self.artifacts[path] = digest
        time.sleep(0.02)

    def _ask(self, client: httpx.Client, number: int, turn: int) -> None:
        answer = client.post("/p/default/deployments/delay/invocations", json=ROWS)
        if self._fine(answer):
            self.predicted[answer.headers["x-prediction-id"]] = answer.content
        else:
            self.missed_predictions += 1

    def _fine(self, answer: httpx.Response) -> bool:
        if answer.is_success:
            return True
        # A process that has just started may say so; anything else is a fault.
        if answer.status_code != 503:
            self.surprises.append(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:200]}")
        time.sleep(0.05)
        return False


class Program:
    """A program under the SDK that logs a value each 10 ms until `end`."""

    def __init__(self, server: Server) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SDK_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=server.environment,
            cwd=server.home.parent,
        )
        assert self._process.stdout is not None
        self.run_id = self._process.stdout.readline().strip()

    def end(self) -> int:
        """How many values it logged."""
        out, err = self._process.communicate("\n", timeout=90)
        assert (self._process.returncode, err) == (0, ""), err
        return int(out)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def points(home: Path, run_id: str, key: str) -> list[int]:
    """Steps of all points of a metric as the database file has them, doubles included."""
    with closing(sqlite3.connect(f"file:{home / 'tilth.db'}?mode=ro", uri=True)) as database:
        mine = (bytes.fromhex(run_id), key)
        found = database.execute("SELECT step FROM metric_point WHERE run_id = ? AND key = ? ORDER BY step", mine)
        steps = [step for (step,) in found]
        (counted,) = database.execute("SELECT count FROM metric_last WHERE run_id = ? AND key = ?", mine).fetchone()
    assert counted == len(steps)
    return steps
