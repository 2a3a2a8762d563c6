"""Our model server beside nine others, on one model: a scaler and a logistic regression over 30 columns (569 real rows).

    python -m benchmarks.serving [--quick] [--json]        TILTH_BENCH_PEERS=mlserver,fastapi measures some of them,
                                                           TILTH_BENCH_AWAKE=1 lets no core fall asleep between requests

Every server has one worker and one OMP thread. Ours authenticates, checks the schema and logs each prediction before its answer, once
with scikit-learn itself and once with the compiled form. Each peer runs alone beside ours; passes of both alternate. The environments of
the peers are made in `.venv-peers` on the first run (1 GB, minutes).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import perf_counter

from benchmarks.clients import Connection, many_clients, median, one_client, request
from benchmarks.figures import Figure, run_script
from benchmarks.processes import NotStarted, Tilth, awake, environment, folder, mlflow_scoring, tilth_serve, tilth_up
from benchmarks.serving.contenders import BARE, Contender, Rows, contenders, instances
from benchmarks.serving.model import COMPILED, FRAMEWORK, MODEL_FILE, rows

ALONE, FEW, CROWD = "1 client", "8 clients", "64 clients"
BIG_ROWS = 100
PROMISED = {
    ("mlflow models serve", ALONE): 3.0,
    ("MLServer", ALONE): 2.0,
    ("mlflow models serve", FEW): 8.0,
    ("MLServer", FEW): 8.0,
    ("mlflow models serve", CROWD): 15.0,
    ("MLServer", CROWD): 15.0,
}
COMPILED_TIMES, LATE_MS, LOG_SHARE, START_S = 10.0, 20.0, 0.8, 1.0


@dataclass
class Seen:
    """Medians are taken over the passes. p50_ms, p99_ms and per_s by load; big_ms: p50 of a request of 100 rows."""

    p50_ms: dict[str, list[float]] = field(default_factory=dict)
    p99_ms: dict[str, list[float]] = field(default_factory=dict)
    per_s: dict[str, list[float]] = field(default_factory=dict)
    big_ms: list[float] = field(default_factory=list)

    def add(self, load: str, p50: float, p99: float, per_s: float) -> None:
        for table, value in ((self.p50_ms, p50), (self.p99_ms, p99), (self.per_s, per_s)):
            table.setdefault(load, []).append(value)


@dataclass(frozen=True, slots=True)
class Asked:
    """A server's address with the requests made for it."""

    url: str
    single: Sequence[bytes]
    big: bytes


def measure(quick: bool) -> list[Figure]:
    passes, seconds = (1, 0.5) if quick else (5, 2.0)
    given = rows()
    kept = awake() if os.environ.get("TILTH_BENCH_AWAKE") else contextlib.nullcontext()
    with kept, folder() as place, tilth_up(place / "home", "--serve-workers", "1") as running:
        _deploy(running, place)
        ours = {name: _ours(running, name, given) for name in (FRAMEWORK, COMPILED)}
        figures = [*_log_cost(place, given, passes, seconds), _start(place, given)]
        for contender in _wanted(contenders(place / FRAMEWORK)):
            print(f"{contender.name} ...", file=sys.stderr, flush=True)
            try:
                figures += _beside(contender, place, ours, given, passes, seconds)
            except NotStarted as error:
                figures.append(Figure("not measured", "", 0.0, peer=contender.name, note=str(error)[:200]))
    return figures


def _wanted(found: Sequence[Contender]) -> list[Contender]:
    chosen = [word.strip().lower() for word in os.environ.get("TILTH_BENCH_PEERS", "").split(",") if word.strip()]
    return [contender for contender in found if not chosen or any(word in contender.name.lower() for word in chosen)]


def _deploy(running: Tilth, place: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.serving.model", "--home", str(running.home), "--out", str(place)]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    if ended.returncode:
        raise NotStarted(f"the model could not be deployed: {ended.stderr.strip()[-600:]}")


def _ours(running: Tilth, deployment: str, given: Rows) -> Asked:
    path = f"/p/{running.project}/deployments/{deployment}/invocations"
    single = [request(running.serve_url, "POST", path, instances([row]), running.token) for row in given]
    return Asked(running.serve_url, single, request(running.serve_url, "POST", path, instances(given[:BIG_ROWS]), running.token))


def _beside(
    contender: Contender, place: Path, ours: dict[str, Asked], given: Rows, passes: int, seconds: float
) -> Iterator[Figure]:
    with contender.start(place / MODEL_FILE, place) as url:
        theirs = Asked(url, contender.requests(url, given), contender.big(url, given[:BIG_ROWS]))
        asked = {FRAMEWORK: ours[FRAMEWORK], COMPILED: ours[COMPILED], contender.name: theirs}
        seen = {name: Seen() for name in asked}
        for number in range(passes + 1):
            for name, server in asked.items():
                _pass(server, seen[name] if number else Seen(), seconds if number else seconds / 4)
    return _figures(contender.name, seen[FRAMEWORK], seen[COMPILED], seen[contender.name])


def _pass(server: Asked, seen: Seen, seconds: float) -> None:
    """One client, eight, sixty-four, then requests of 100 rows."""
    endless = cycle(server.single).__next__
    for load, clients in ((ALONE, 1), (FEW, 8), (CROWD, 64)):
        outcome = many_clients(server.url, [endless] * clients, seconds)
        if outcome.failed:
            raise NotStarted(f"requests failed under {load}: {outcome.errors}")
        seen.add(load, outcome.p(50), outcome.p(99), outcome.per_s)
    connection = Connection(server.url)
    outcome = one_client(connection, [server.big] * max(20, round(100 * seconds)))
    connection.close()
    if outcome.failed:
        raise NotStarted(f"requests of {BIG_ROWS} rows failed: {outcome.errors}")
    seen.big_ms.append(outcome.p(50))


def _figures(peer: str, framework: Seen, compiled: Seen, theirs: Seen) -> Iterator[Figure]:
    def lower(what: str, ours: Sequence[float], other: Sequence[float], times: float | None) -> Figure:
        return Figure(what, "ms", median(ours), None, peer, median(other), times=times)

    def higher(what: str, ours: Sequence[float], other: Sequence[float], times: float | None) -> Figure:
        return Figure(what, "/s", median(ours), None, peer, median(other), True, times=times)

    each = (COMPILED_TIMES, 1.0) if peer != BARE else (None, None)
    yield lower("scikit-learn, 1 client, p50", framework.p50_ms[ALONE], theirs.p50_ms[ALONE], PROMISED.get((peer, ALONE)))
    for load in (FEW, CROWD):
        yield higher(f"scikit-learn, {load}", framework.per_s[load], theirs.per_s[load], PROMISED.get((peer, load)))
    yield higher("compiled, 1 client", compiled.per_s[ALONE], theirs.per_s[ALONE], each[0])
    for load in (FEW, CROWD):
        yield higher(f"compiled, {load}", compiled.per_s[load], theirs.per_s[load], None)
    yield lower(f"{BIG_ROWS} rows, scikit-learn, p50", framework.big_ms, theirs.big_ms, each[1])
    yield lower(f"{BIG_ROWS} rows, compiled, p50", compiled.big_ms, theirs.big_ms, each[1])
    late = median(framework.p99_ms[FEW])
    yield Figure("scikit-learn, 8 clients, p99", "ms", late, LATE_MS, peer, median(theirs.p99_ms[FEW]))


def _log_cost(place: Path, given: Rows, passes: int, seconds: float) -> Iterator[Figure]:
    """The compiled model by two `tilth serve`, one with a prediction log and one without."""
    kept, none = Seen(), Seen()
    log = ("--log", str(place / "log"))
    with tilth_serve(place / COMPILED, place, *log) as logging, tilth_serve(place / COMPILED, place) as silent:
        servers = [(_alone(logging.url, given), kept), (_alone(silent.url, given), none)]
        for number in range(passes + 1):
            for server, seen in servers:
                _pass(server, seen if number else Seen(), seconds if number else seconds / 4)
    for load in (ALONE, FEW, CROWD):
        ours, other = median(kept.per_s[load]), median(none.per_s[load])
        yield Figure(f"compiled and logged, {load}", "/s", ours, None, "ours without a log", other, True, times=LOG_SHARE)


def _start(place: Path, given: Rows) -> Figure:
    """From the start of the process to the first prediction."""
    spans = []
    for _ in range(3):
        with tilth_serve(place / COMPILED, place) as server:
            begun = perf_counter()
            connection = Connection(server.url)
            connection.ask(_alone(server.url, given).single[0])
            connection.close()
            spans.append(server.started_s + perf_counter() - begun)
    try:
        with mlflow_scoring(place / FRAMEWORK, place) as peer:
            theirs = peer.started_s
    except NotStarted:
        theirs = None
    return Figure("start to first prediction, compiled", "s", median(spans), START_S, "mlflow models serve", theirs)


def _alone(url: str, given: Rows) -> Asked:
    """Of a server of one model, at the root."""
    single = [request(url, "POST", "/invocations", instances([row])) for row in given]
    return Asked(url, single, request(url, "POST", "/invocations", instances(given[:BIG_ROWS])))


if __name__ == "__main__":
    sys.exit(run_script("serving", __doc__ or "", measure))
