"""What a prediction of the demo model costs over HTTP, and whether every model-server process gets its share of the work.

One flight per request, as real requests of the first week of April: one client over one connection for p50 and p99, then 8 and 64
clients at once. Beside ours `mlflow models serve` of the very folder that ours serves. The model is deployed in a whole `tilth up`
and every prediction is logged before it is answered. Client and servers share the same cores: ratios mean more than figures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from time import sleep

from benchmarks.clients import Connection, Outcome, many_clients, median, one_client, request
from benchmarks.demo_model import deploy_in, invocations
from benchmarks.figures import Figure, run_script
from benchmarks.processes import NotStarted, Tilth, folder, mlflow_scoring, tilth_up
from tilth.wire.plane import CACHE_FOLDER, STATUS_FOLDER

WORKERS = 2
CLIENTS = 8
CROWD = 64
STATUS_EVERY_S = 1.0
BUSY_PERCENT = 10
"""The kernel deals eight connections out by chance: now and then one worker gets one of them, and in 1 of 128 cases none."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Figures of the peer; None where it could not be started, and `name` says why."""

    name: str
    p50_ms: float | None = None
    p99_ms: float | None = None
    per_s: float | None = None


def measure(quick: bool) -> list[Figure]:
    passes, count, seconds = (1, 200, 1.0) if quick else (5, 3000, 3.0)
    with folder() as place, tilth_up(place / "home", "--serve-workers", str(WORKERS)) as running:
        bodies = deploy_in(running, quick)
        mine = [request(running.serve_url, "POST", invocations(running), body, running.token) for body in bodies]
        alone = single(running.serve_url, mine, count, passes)
        shares: list[float] = []
        crowds = [shared(running, mine, seconds, shares) for _ in range(passes)]
        crowd = many_clients(running.serve_url, [cycle(mine).__next__] * CROWD, seconds)
        peer = beside(place, running, bodies, max(50, count // 10), seconds)
    failed = sum(outcome.failed for outcome in [*alone, *crowds, crowd])
    if failed:
        raise AssertionError(
            f"{failed} predictions failed: {[outcome.errors for outcome in [*alone, *crowds, crowd] if outcome.failed]}"
        )
    p50, p99 = median([outcome.p(50) for outcome in alone]), median([outcome.p(99) for outcome in alone])
    eight = median([outcome.per_s for outcome in crowds])
    return [
        Figure("prediction, 1 client, p50", "ms", p50, 1, peer.name, peer.p50_ms),
        Figure("prediction, 1 client, p99", "ms", p99, 20, peer.name, peer.p99_ms),
        Figure("predictions, 8 clients", "/s", eight, None, peer.name, peer.per_s, True),
        Figure("predictions, 64 clients", "/s", crowd.per_s, None, "", None, True),
        Figure(
            "least busy of 2 workers, 8 clients",
            "% of requests",
            median(shares),
            BUSY_PERCENT,
            higher_is_better=True,
            note=f"all passes: {', '.join(f'{share:.0f}' for share in shares)}; both busy: {'yes' if min(shares) > 0 else 'NO'}",
        ),
    ]


def single(url: str, requests: Sequence[bytes], count: int, passes: int) -> list[Outcome]:
    """One client, a new connection for each pass; a short pass before does not count."""
    outcomes = []
    endless = cycle(requests)
    for number in range(passes + 1):
        connection = Connection(url)
        outcomes.append(one_client(connection, [next(endless) for _ in range(count if number else 100)]))
        connection.close()
    return outcomes[1:]


def shared(running: Tilth, requests: Sequence[bytes], seconds: float, shares: list[float]) -> Outcome:
    """Eight clients at once; appends the percentage of the requests that the least busy worker answered."""
    before = answered(running)
    outcome = many_clients(running.serve_url, [cycle(requests).__next__] * CLIENTS, seconds)
    sleep(2 * STATUS_EVERY_S)
    grown = [now - then for now, then in zip(answered(running), before, strict=True)]
    shares.append(100 * min(grown) / max(1, sum(grown)))
    return outcome


def answered(running: Tilth) -> list[int]:
    """Requests that each worker has answered so far, by its own status."""
    statuses = sorted((running.home / STATUS_FOLDER).glob("w*.json"))
    return [sum(deployment["requests"] for deployment in json.loads(path.read_bytes())["deployments"]) for path in statuses]


def beside(place: Path, running: Tilth, bodies: Sequence[bytes], count: int, seconds: float) -> Beside:
    """One client and eight clients against `mlflow models serve` of the folder that the workers cached."""
    model = next(path.parent for path in (running.home / CACHE_FOLDER).rglob("MLmodel"))
    try:
        with mlflow_scoring(model, place) as peer:
            theirs = [request(peer.url, "POST", "/invocations", body) for body in bodies]
            alone = single(peer.url, theirs, count, 1)[0]
            crowd = many_clients(peer.url, [cycle(theirs).__next__] * CLIENTS, seconds)
    except NotStarted as error:
        return Beside(f"none: {error}"[:160])
    if alone.failed:
        return Beside(f"mlflow refused: {next(iter(alone.errors))}"[:160])
    return Beside("mlflow models serve", alone.p(50), alone.p(99), crowd.per_s)


if __name__ == "__main__":
    sys.exit(run_script("prediction", __doc__ or "", measure))
